//! Tests of slow commits: the size of the next transaction is bounded, and workers can leave.

use biosweep_scheduler::batcher::POINTS;

use super::*;

/// A sweep whose trajectories have so many evaluations that four of them fill a transaction. Its trials come before those of others.
const LONG: &str = "name = \"long\"\npriority = 1\nreuse = false\n[data]\ndataset = \"synthetic-digits\"\n[train]\n\
                    max_updates = 250000\neval_every = 1\n[grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = 1\n\
                    seed = { from = 0, count = 8 }\n";

#[tokio::test]
async fn many_long_reports_are_split_into_bounded_transactions() {
    let store = Arc::new(Flaky::default());
    let (handle, _, _messages, holder, small) = at_work(&store).await;
    handle.apply(submitted_spec(new_id::<SweepId>(), LONG)).await.expect("there is room");
    let worker = new_id::<WorkerId>();
    let (outbox, mut messages) = stream(&handle);
    let description = WorkerDescription { name: "long".to_owned(), lanes: 8, ..WorkerDescription::default() };
    let hello = Hello { worker, description, numerics_version: 1, held: Vec::new() };
    handle.attach(hello, StreamId(2), outbox).await.expect("the loop lives");
    let poll = vec![ToCoordinator::Poll { lanes: 8 }];
    handle.messages_received(worker, StreamId(2), poll).await.expect("the loop lives");
    let grant = loop {
        if let Some(ToWorker::Grant(grant)) = messages.recv().await {
            break *grant;
        }
    };
    assert_eq!(grant.lanes.len(), 2 * REPORTS);
    hold_commit(&store, &handle, holder, &small).await;
    for lane in &grant.lanes {
        let of_lane = Grant { lanes: vec![lane.clone()], ..grant.clone() };
        let ToCoordinator::AttemptEnded(mut report) = report(&of_lane) else { unreachable!() };
        let point = report.curve[0];
        report.curve = (1..=(POINTS / REPORTS) as u64).map(|update| CurvePoint { update, ..point }).collect();
        let report = vec![ToCoordinator::AttemptEnded(report)];
        handle.messages_received(worker, StreamId(2), report).await.expect("the loop lives");
    }
    store.gate.add_permits(Semaphore::MAX_PERMITS);
    let mut acknowledged = 0;
    while acknowledged < grant.lanes.len() {
        if let Some(ToWorker::Acknowledged { trajectories, accepted, .. }) = messages.recv().await {
            assert!(accepted);
            acknowledged += trajectories.len();
        }
    }
    let points = store.points.lock().expect("nobody panics").clone();
    assert_eq!(points.iter().sum::<usize>(), 2 * POINTS + 1);
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
