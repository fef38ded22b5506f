//! Commits that take long: what is gathered meanwhile has bounds, and who is to leave is told so.

use biosweep_scheduler::batcher::POINTS;

use super::*;

#[tokio::test]
async fn a_transaction_is_bounded_in_points_however_many_long_reports_come_at_once() {
    let store = Arc::new(Flaky::default());
    let (handle, _, mut letters, worker, grant) = at_work(&store).await;
    hold_commit(&store, &handle, worker, &grant).await;
    let reports = 2 * REPORTS;
    for number in 0..reports {
        let late = Grant { attempt: Attempt(100 + number as u64), ..grant.clone() };
        let ToCoordinator::AttemptEnded(mut report) = report(&late) else { unreachable!() };
        report.curve = vec![report.curve[0]; POINTS / REPORTS];
        handle.said(worker, StreamId(1), vec![ToCoordinator::AttemptEnded(report)]).await.expect("the loop lives");
    }
    store.gate.add_permits(Semaphore::MAX_PERMITS);
    for _ in 0..=reports {
        assert!(matches!(letters.recv().await, Some(ToWorker::Acknowledged { .. })));
    }
    let points = store.points.lock().expect("nobody panics").clone();
    assert_eq!(points.iter().sum::<usize>(), 2 * POINTS);
    assert!(points.iter().all(|&points| points <= POINTS), "{points:?}");
}

/// Reports that fill a transaction.
const REPORTS: usize = 4;

#[tokio::test]
async fn workers_that_are_to_leave_are_told_though_the_trouble_with_the_store_shows_only_then() {
    let store = Arc::new(Flaky::default());
    let (handle, _, mut letters, worker, grant) = at_work(&store).await;
    hold_commit(&store, &handle, worker, &grant).await;
    let draining = handle.apply(Event::Draining { reason: "enough".to_owned() });
    tokio::pin!(draining);
    assert!(draining.as_mut().now_or_never().is_none(), "it is decided, and waits for the commit");
    let late = Grant { attempt: Attempt(9), ..grant.clone() };
    handle.said(worker, StreamId(1), vec![report(&late)]).await.expect("the loop lives");
    taken_in(&handle).await;
    assert!(letters.is_empty());
    store.is_full.store(true, Ordering::SeqCst);
    store.gate.add_permits(Semaphore::MAX_PERMITS);
    // Neither waits for the store: the word to leave, and that what was reported before and after it is not acknowledged.
    let mut stopped = Vec::new();
    let mut is_told = false;
    while !is_told || stopped.len() < 2 {
        match letters.recv().await.expect("the stream is open") {
            ToWorker::Drain { .. } => is_told = true,
            ToWorker::Stop { attempt, .. } => stopped.push(attempt),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(stopped, [grant.attempt, late.attempt]);
}

#[tokio::test]
async fn who_reported_before_it_was_to_leave_does_not_wait_for_a_store_that_cannot_be_written() {
    let store = Arc::new(Flaky::default());
    let (handle, _, mut letters, worker, grant) = at_work(&store).await;
    store.is_full.store(true, Ordering::SeqCst);
    handle.said(worker, StreamId(1), vec![report(&grant)]).await.expect("the loop lives");
    handle.degraded().wait_for(Option::is_some).await.expect("the loop lives");
    let late = Grant { attempt: Attempt(9), ..grant.clone() };
    handle.said(worker, StreamId(1), vec![report(&late)]).await.expect("the loop lives");
    handle.apply(Event::Draining { reason: "enough".to_owned() }).await.expect("nothing of it has to be kept");
    assert!(matches!(letters.recv().await, Some(ToWorker::Drain { .. })));
    for of in [grant.attempt, late.attempt] {
        let stop = letters.recv().await;
        assert!(matches!(&stop, Some(ToWorker::Stop { attempt, .. }) if *attempt == of), "{stop:?}");
    }
}
