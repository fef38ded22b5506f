//! Checkpoints in a folder, damaged ones, and links.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;

use biosweep_engine::model::saved::SavedTensor;

use super::*;

const KEY: TrialKey = TrialKey([7; 32]);

fn id() -> CheckpointId {
    let sweep = "01890a5d-ac96-774b-bcce-b302099a8057".parse().expect("an id");
    CheckpointId { sweep, trajectory: TrajectoryIndex(3) }
}

fn state(update: u64, numbers: usize) -> LaneState {
    LaneState {
        update,
        loss_sum: 0.0,
        loss_count: 0,
        curve: Vec::new(),
        diagnostics: Vec::new(),
        steps: BTreeMap::new(),
        tensors: BTreeMap::from([(
            "forward.1.weight".to_owned(),
            SavedTensor { shape: vec![numbers], values: vec![0.5; numbers] },
        )]),
    }
}

#[tokio::test]
async fn what_was_set_aside_is_not_gone_on_from_and_hides_nothing_that_is_kept_afterwards() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = CheckpointStore::open(&folder.path().to_string_lossy()).expect("a store");
    for update in [800, 900] {
        store.keep(id(), update, checkpoint::encode(KEY, &state(update, 1))).await.expect("kept");
    }
    assert_eq!(store.latest(id(), KEY).await, Some(state(900, 1)));
    store.set_aside(id()).await.expect("set aside");
    assert_eq!(store.latest(id(), KEY).await, None);
    store.keep(id(), 5, checkpoint::encode(KEY, &state(5, 1))).await.expect("kept");
    assert_eq!(store.latest(id(), KEY).await, Some(state(5, 1)), "though it is of an earlier update");
    store.discard(id()).await.expect("discarded");
    assert!(store.files(id()).await.expect("listed").is_empty());
}

#[tokio::test]
async fn a_check_leaves_nothing_and_refuses_a_place_that_cannot_be_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("checkpoints");
    let store = CheckpointStore::open(&place.to_string_lossy()).expect("a store");
    store.check().await.expect("it can be written");
    std::fs::remove_dir(&place).expect("it is empty");
    std::fs::write(&place, "a file").expect("written");
    let error = store.check().await.expect_err("it cannot be written").to_string();
    assert!(error.starts_with("checkpoints cannot be kept in ") && !error.contains("AWS"), "{error}");
}

#[tokio::test]
async fn no_link_is_followed_and_nothing_behind_it_is_deleted_written_or_read() {
    let (folder, outside) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let store = CheckpointStore::open(&folder.path().to_string_lossy()).expect("a store");
    let (theirs, text) = (outside.path().join("3/thesis.safetensors"), outside.path().join("3/thesis.txt"));
    std::fs::create_dir(outside.path().join("3")).expect("a folder");
    for file in [&theirs, &text] {
        std::fs::write(file, checkpoint::encode(KEY, &state(900, 1))).expect("written");
    }
    let behind_is_whole = || {
        let found: Vec<_> = std::fs::read_dir(outside.path().join("3")).expect("it is there").flatten().collect();
        assert_eq!(found.len(), 2, "{found:?}");
    };
    let sweep = folder.path().join(id().sweep.to_string());

    // The folder of the sweep, that of the trajectory, and a file.
    symlink(outside.path(), &sweep).expect("a link");
    assert_eq!(store.latest(id(), KEY).await, None);
    let error = store.keep(id(), 900, Vec::new()).await.expect_err("it is a link").to_string();
    assert!(error.contains(&*sweep.to_string_lossy()) && error.contains("--checkpoints"), "{error}");
    store.discard(id()).await.expect("there is nothing of ours");
    store.discard_all(id().sweep).await.expect("there is nothing of ours");
    behind_is_whole();

    std::fs::remove_file(&sweep).expect("a link");
    std::fs::create_dir(&sweep).expect("a folder");
    symlink(outside.path().join("3"), sweep.join("3")).expect("a link");
    assert_eq!(store.latest(id(), KEY).await, None);
    store.keep(id(), 900, Vec::new()).await.expect_err("it is a link");
    store.discard_all(id().sweep).await.expect("there is nothing of ours");
    behind_is_whole();

    std::fs::remove_file(sweep.join("3")).expect("a link");
    store.keep(id(), 5, checkpoint::encode(KEY, &state(5, 1))).await.expect("kept");
    symlink(&theirs, sweep.join("3").join(format!("{:020}{ENDING}", 900))).expect("a link");
    assert_eq!(store.latest(id(), KEY).await, Some(state(5, 1)), "the link is not read");
    // A note of somebody stays, too.
    std::fs::write(sweep.join("3/note.txt"), "mine").expect("written");
    store.discard_all(id().sweep).await.expect("discarded");
    assert!(store.files(id()).await.expect("listed").is_empty() && sweep.join("3/note.txt").is_file());
    behind_is_whole();
}

#[tokio::test]
async fn what_cannot_be_set_aside_is_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = CheckpointStore::open(&folder.path().to_string_lossy()).expect("a store");
    store.keep(id(), 900, checkpoint::encode(KEY, &state(900, 1))).await.expect("kept");
    let files = store.files(id()).await.expect("listed");
    std::fs::create_dir(folder.path().join(format!("{}{SET_ASIDE}", files[0]))).expect("its new name is taken");
    store.set_aside(id()).await.expect("set aside");
    assert_eq!(store.latest(id(), KEY).await, None);
}

#[tokio::test]
async fn what_is_left_of_later_updates_pushes_nothing_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = CheckpointStore::open(&folder.path().to_string_lossy()).expect("a store");
    for update in [800, 900, 5, 6, 7] {
        store.keep(id(), update, checkpoint::encode(KEY, &state(update, 1))).await.expect("kept");
    }
    let kept: Vec<u64> = (store.files(id()).await.expect("listed").iter())
        .map(|file| file.filename().and_then(|name| name[..20].parse().ok()).expect("an update"))
        .collect();
    assert_eq!(kept, [6, 7, 800, 900]);
}

#[tokio::test]
async fn what_is_sent_in_parts_comes_out_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = CheckpointStore::open(&folder.path().to_string_lossy()).expect("a store");
    let store = CheckpointStore { root: None, ..store };
    let large = state(7, 5 * PART / 8 + 3);
    store.keep(id(), 7, checkpoint::encode(KEY, &large)).await.expect("kept");
    assert_eq!(store.latest(id(), KEY).await, Some(large));
}
