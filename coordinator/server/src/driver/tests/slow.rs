//! Tests of slow commits: the size of the next transaction is bounded, and workers can leave.

use biosweep_scheduler::batcher::POINTS;

use super::*;

#[tokio::test]
async fn many_long_reports_are_split_into_bounded_transactions() {
    let store = Arc::new(Flaky::default());
    let (handle, _, mut messages, worker, grant) = at_work(&store).await;
    hold_commit(&store, &handle, worker, &grant).await;
    let reports = 2 * REPORTS;
    for number in 0..reports {
        let late = Grant { attempt: Attempt(100 + number as u64), ..grant.clone() };
        let ToCoordinator::AttemptEnded(mut report) = report(&late) else { unreachable!() };
        report.curve = vec![report.curve[0]; POINTS / REPORTS];
        handle
            .messages_received(worker, StreamId(1), vec![ToCoordinator::AttemptEnded(report)])
            .await
            .expect("the loop lives");
    }
    store.gate.add_permits(Semaphore::MAX_PERMITS);
    for _ in 0..=reports {
        assert!(matches!(messages.recv().await, Some(ToWorker::Acknowledged { .. })));
    }
    let points = store.points.lock().expect("nobody panics").clone();
    assert_eq!(points.iter().sum::<usize>(), 2 * POINTS);
    assert!(points.iter().all(|&points| points <= POINTS), "{points:?}");
}

/// Number of reports that fill a transaction.
const REPORTS: usize = 4;

#[tokio::test]
async fn workers_are_drained_if_the_store_fails_after_the_drain_begins() {
    let store = Arc::new(Flaky::default());
    let (handle, _, mut messages, worker, grant) = at_work(&store).await;
    hold_commit(&store, &handle, worker, &grant).await;
    let draining = handle.apply(Event::Draining { reason: "enough".to_owned() });
    tokio::pin!(draining);
    assert!(draining.as_mut().now_or_never().is_none(), "the event is applied, and waits for the commit");
    let late = Grant { attempt: Attempt(9), ..grant.clone() };
    handle.messages_received(worker, StreamId(1), vec![report(&late)]).await.expect("the loop lives");
    wait_for_empty_queues(&handle).await;
    assert!(messages.is_empty());
    store.is_full.store(true, Ordering::SeqCst);
    store.gate.add_permits(Semaphore::MAX_PERMITS);
    // The worker gets the messages to leave, and not to wait for the reports from before and after the drain.
    let mut stopped = Vec::new();
    let mut is_drained = false;
    while !is_drained || stopped.len() < 2 {
        match messages.recv().await.expect("the stream is open") {
            ToWorker::Drain { .. } => is_drained = true,
            ToWorker::Stop { attempt, .. } => stopped.push(attempt),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(stopped, [grant.attempt, late.attempt]);
}

#[tokio::test]
async fn a_worker_that_reported_before_the_drain_does_not_wait_for_the_store() {
    let store = Arc::new(Flaky::default());
    let (handle, _, mut messages, worker, grant) = at_work(&store).await;
    store.is_full.store(true, Ordering::SeqCst);
    handle.messages_received(worker, StreamId(1), vec![report(&grant)]).await.expect("the loop lives");
    handle.degraded().wait_for(Option::is_some).await.expect("the loop lives");
    let late = Grant { attempt: Attempt(9), ..grant.clone() };
    handle.messages_received(worker, StreamId(1), vec![report(&late)]).await.expect("the loop lives");
    handle.apply(Event::Draining { reason: "enough".to_owned() }).await.expect("the event needs no commit");
    assert!(matches!(messages.recv().await, Some(ToWorker::Drain { .. })));
    for of in [grant.attempt, late.attempt] {
        let stop = messages.recv().await;
        assert!(matches!(&stop, Some(ToWorker::Stop { attempt, .. }) if *attempt == of), "{stop:?}");
    }
}
