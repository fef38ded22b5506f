//! The stores of test coordinators.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::postgres::Server;

/// A kind of store.
#[derive(Debug, Clone)]
pub enum Store {
    /// A file in the coordinator's home.
    Sqlite,
    /// Databases on a server.
    Postgres(Arc<Server>),
}

impl Store {
    /// Databases on a server that concurrent tests of one program share, because a server takes a second to start.
    #[must_use]
    pub fn postgres() -> Self {
        static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let server = shared.upgrade().unwrap_or_else(|| Arc::new(Server::start()));
        *shared = Arc::downgrade(&server);
        Self::Postgres(server)
    }

    /// An empty store, as an argument of `--store`; `None` for a file in the home.
    #[must_use]
    pub fn fresh(&self) -> Option<String> {
        match self {
            Self::Sqlite => None,
            Self::Postgres(server) => Some(server.fresh_database()),
        }
    }
}

/// Declares each claim, a function of the [`Store`], as a test on SQLite and one on PostgreSQL.
#[macro_export]
macro_rules! on_both_stores {
    ($($claim:ident)+) => {
        mod on_sqlite {
            $(#[test]
            fn $claim() {
                super::$claim(&$crate::store::Store::Sqlite);
            })+
        }
        mod on_postgres {
            $(#[test]
            fn $claim() {
                super::$claim(&$crate::store::Store::postgres());
            })+
        }
    };
}
