//! Fresh ids.

use uuid::Uuid;

/// A fresh id, stamped with the present time: UUID version 7 (RFC 9562), so that ids sort by the time of their making.
#[must_use]
pub fn new_id<Id: From<Uuid>>() -> Id {
    Uuid::now_v7().into()
}
