//! The handlers of the scheduler: one for each kind of event.
//!
//! | module | events |
//! |---|---|
//! | `commands` | what a sweep's owner asks for |
//! | `messages` | what workers say, and what becomes of their streams and processes |
//! | `attempt_end` | the ends of attempts: reports accepted or refused, results, retries |

mod attempt_end;
mod commands;
mod messages;
