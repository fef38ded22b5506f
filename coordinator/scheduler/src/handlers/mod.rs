//! The handlers of the scheduler: one for each kind of event.
//!
//! | module | events |
//! |---|---|
//! | `commands` | commands of users |
//! | `messages` | messages of workers, and the ends of their streams and processes |
//! | `attempt_end` | the ends of attempts: reports accepted or refused, results, retries |

mod attempt_end;
mod commands;
mod messages;
