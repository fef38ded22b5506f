//! The roles of those who call a coordinator.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The role that a token or a certificate carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A worker: it enrols with its token, and then trains.
    Worker,
    /// A user who reads: sweeps, results, curves, workers.
    Viewer,
    /// A user who also submits, and controls sweeps.
    Submitter,
    /// A user who also deletes sweeps, and administers workers and tokens.
    Operator,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Worker, Self::Viewer, Self::Submitter, Self::Operator];

    /// Whether this role includes another one. Users' roles are nested: viewer, submitter, operator. A worker is apart.
    #[must_use]
    pub const fn includes(self, other: Self) -> bool {
        match (self.rank(), other.rank()) {
            (Some(own), Some(other)) => own >= other,
            (None, None) => true,
            _ => false,
        }
    }

    /// The rank of a user's role.
    const fn rank(self) -> Option<u8> {
        match self {
            Self::Worker => None,
            Self::Viewer => Some(0),
            Self::Submitter => Some(1),
            Self::Operator => Some(2),
        }
    }

    /// The name in commands, certificates and stores.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Viewer => "viewer",
            Self::Submitter => "submitter",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text is not a role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a role: use worker, viewer, submitter or operator")]
pub struct NoRole;

impl FromStr for Role {
    type Err = NoRole;

    fn from_str(text: &str) -> Result<Self, NoRole> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or(NoRole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roles_of_users_are_nested_and_a_worker_is_apart() {
        let included = |role: Role| Role::ALL.into_iter().filter(|&other| role.includes(other)).collect::<Vec<_>>();
        assert_eq!(included(Role::Worker), [Role::Worker]);
        assert_eq!(included(Role::Viewer), [Role::Viewer]);
        assert_eq!(included(Role::Submitter), [Role::Viewer, Role::Submitter]);
        assert_eq!(included(Role::Operator), [Role::Viewer, Role::Submitter, Role::Operator]);
    }

    #[test]
    fn a_role_is_read_as_it_is_written() {
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
        }
        assert_eq!("admin".parse::<Role>(), Err(NoRole));
    }
}
