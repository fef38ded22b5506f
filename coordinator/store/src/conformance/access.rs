//! Claims about tokens and the workers that enrol with them.

use biosweep_common::vocabulary::access::role::Role;
use biosweep_common::vocabulary::access::rows::{EnrolledWorker, TokenInfo, TokenRow};
use biosweep_common::vocabulary::access::token::{Fingerprint, TokenId};
use biosweep_scheduler::record::{AccessChange, AccessRows};

use super::*;

const SOMEBODY: WorkerId = WorkerId(Uuid::from_u128(71));
const ANOTHER: WorkerId = WorkerId(Uuid::from_u128(72));

fn token(id: u8, at: u64, uses_left: Option<u32>) -> TokenRow {
    let info = TokenInfo {
        id: TokenId([id; 8]),
        role: Role::Worker,
        label: "node ✓".to_owned(),
        creator: "bsj-0".to_owned(),
        created_at: WallTime(at),
        expires_at: uses_left.map(|_| WallTime(99)),
        uses_left,
        revoked_at: None,
    };
    TokenRow { info, secret_digest: [id + 1; 32] }
}

fn enrolled(worker: WorkerId, token: u8, key: u8, at: u64) -> EnrolledWorker {
    let (key, token) = (Fingerprint([key; 32]), TokenId([token; 8]));
    EnrolledWorker { worker, key, token, enrolled_at: WallTime(at), revoked_at: None }
}

async fn commit(store: &dyn Store, changes: impl IntoIterator<Item = AccessChange>) -> Result<(), StoreError> {
    store.commit(&changes.into_iter().map(Record::Access).collect::<Vec<_>>()).await
}

pub(super) async fn a_token_is_used_up_by_enrolments(store: &dyn Store) {
    assert_eq!(store.access().await.expect("reads"), AccessRows::default());
    let (later, earlier) = (token(1, 8, Some(2)), token(2, 7, None));
    let created = [later.clone(), earlier.clone()].map(AccessChange::TokenCreated);
    commit(store, created.clone()).await.expect("they are new");
    commit(store, created).await.expect_err("an id is used once");
    for at in [10, 11] {
        commit(store, [AccessChange::Enrolled(enrolled(SOMEBODY, 1, 5, at))]).await.expect("a use is left");
    }
    commit(store, [AccessChange::Enrolled(enrolled(ANOTHER, 1, 6, 12))]).await.expect_err("no use is left");
    commit(store, [AccessChange::Enrolled(enrolled(ANOTHER, 9, 6, 12))]).await.expect_err("there is no such token");
    // A worker stays bound to its first key.
    commit(store, [AccessChange::Enrolled(enrolled(SOMEBODY, 2, 7, 13))]).await.expect("any number of uses");
    let used = TokenRow { info: TokenInfo { uses_left: Some(0), ..later.info.clone() }, ..later };
    let worker = enrolled(SOMEBODY, 2, 5, 13);
    let expected = AccessRows { tokens: vec![earlier, used], workers: vec![worker] };
    assert_eq!(store.access().await.expect("reads"), expected);
}

pub(super) async fn a_revoked_token_takes_its_workers_along(store: &dyn Store) {
    commit(store, [token(1, 1, None), token(2, 2, None)].map(AccessChange::TokenCreated)).await.expect("they are new");
    let workers = [enrolled(SOMEBODY, 1, 5, 3), enrolled(ANOTHER, 2, 6, 3)];
    commit(store, workers.map(AccessChange::Enrolled)).await.expect("the tokens are known");
    let revoked = async |change: AccessChange| {
        commit(store, [change]).await.expect("it is known");
        let rows = store.access().await.expect("reads");
        let tokens: Vec<_> = rows.tokens.iter().map(|row| row.info.revoked_at.map(|at| at.0)).collect();
        let workers: Vec<_> = rows.workers.iter().map(|row| row.revoked_at.map(|at| at.0)).collect();
        (tokens, workers)
    };
    let of_token = |at| AccessChange::TokenRevoked { id: TokenId([1; 8]), at: WallTime(at) };
    assert_eq!(revoked(of_token(4)).await, (vec![Some(4), None], vec![Some(4), None]));
    // The first revocation counts.
    assert_eq!(revoked(of_token(5)).await, (vec![Some(4), None], vec![Some(4), None]));
    let of_worker = AccessChange::WorkerRevoked { worker: ANOTHER, at: WallTime(6) };
    assert_eq!(revoked(of_worker).await, (vec![Some(4), None], vec![Some(4), Some(6)]));
}

pub(super) async fn workers_without_a_certificate_are_forgotten_but_for_revoked_ones(store: &dyn Store) {
    commit(store, [AccessChange::TokenCreated(token(1, 1, None))]).await.expect("it is new");
    let revoked = WorkerId(Uuid::from_u128(73));
    let workers = [enrolled(SOMEBODY, 1, 5, 3), enrolled(ANOTHER, 1, 6, 3), enrolled(revoked, 1, 7, 3)];
    commit(store, workers.map(AccessChange::Enrolled)).await.expect("the token is known");
    let (at, before) = (WallTime(9), WallTime(9));
    let changes = [
        AccessChange::WorkerRevoked { worker: revoked, at: WallTime(4) },
        AccessChange::Renewed { worker: ANOTHER, at },
        AccessChange::Forgotten { before },
    ];
    commit(store, changes).await.expect("all are known");
    let left =
        [enrolled(ANOTHER, 1, 6, 9), EnrolledWorker { revoked_at: Some(WallTime(4)), ..enrolled(revoked, 1, 7, 3) }];
    assert_eq!(store.access().await.expect("reads").workers, left);
    commit(store, [AccessChange::Forgotten { before }]).await.expect("nobody is left to forget");
}
