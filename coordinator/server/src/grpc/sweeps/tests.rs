//! Tests of commands whose client disconnects.

use std::sync::Arc;

use biosweep_common::protocol::messages::ToWorker;
use biosweep_scheduler::event::Event;
use futures::FutureExt as _;
use tokio::sync::Semaphore;

use super::*;
use crate::driver::StreamId;
use crate::driver::tests::{Flaky, SPEC, at_work, report};

#[tokio::test]
async fn a_deletion_without_its_client_ends_before_the_next_submission_decides() {
    let store = Arc::new(Flaky::default());
    let (handle, sweep, mut messages, worker, grant) = at_work(&store).await;
    handle.messages_received(worker, StreamId(1), vec![report(&grant)]).await.expect("the loop lives");
    assert!(matches!(messages.recv().await, Some(ToWorker::Acknowledged { accepted: true, .. })));
    handle.apply(Event::Cancelled(sweep)).await.expect("there is room");
    let service = Service::new(Commands::new(handle.clone()));
    let plan =
        || v1::PlanRequest { spec: SPEC.to_owned(), format: v1::SpecFormat::Toml as i32, origin: "small".to_owned() };
    assert_eq!(service.plan(Request::new(plan())).await.expect("the spec is valid").into_inner().reused, 1);

    let (mut begun, before) = store.hold();
    let delete = v1::DeleteRequest { sweep: sweep.to_string(), dry_run: false };
    tokio::select! {
        biased;
        _ = service.delete(Request::new(delete)) => panic!("the deletion is not committed"),
        begun = begun.wait_for(|&begun| begun == before + 1) => drop(begun.expect("the store lives")),
    }
    // The client has disconnected before the commit of the deletion. A second deletion, without the lock, changes nothing.
    let again = handle.apply(Event::Deleted(sweep));
    let v1::PlanRequest { spec, format, origin } = plan();
    let submission = service.submit(Request::new(v1::SubmitRequest { spec, format, origin, fresh: true }));
    tokio::pin!(again, submission);
    assert!(again.as_mut().now_or_never().is_none() && submission.as_mut().now_or_never().is_none());
    store.gate.add_permits(Semaphore::MAX_PERMITS);
    let submitted = submission.await.expect("the deleted results are not taken over").into_inner();
    assert_eq!(submitted.sweep.map(|sweep| (sweep.completed, sweep.reused)), Some((0, 0)));
    assert_eq!(again.await, Ok(()));
    assert_eq!(queries::list(&handle).await.expect("the loop goes on").len(), 1);
}
