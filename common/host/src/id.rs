//! New ids.

use uuid::Uuid;

/// A new id with the current time: UUID version 7 (RFC 9562), so ids sort by creation time.
#[must_use]
pub fn new_id<Id: From<Uuid>>() -> Id {
    Uuid::now_v7().into()
}
