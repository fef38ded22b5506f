//! Who may call what: one table of methods.

use biosweep_common::vocabulary::access::role::Role;

use super::registry::Caller;

/// What a method needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Anybody may call it. It says nothing that is private.
    Nothing,
    /// A token for workers.
    WorkerToken,
    /// An enrolled worker, or a worker that the owner started.
    Worker,
    /// A user with at least this role.
    User(Role),
}

/// Every method that the coordinator serves.
const METHODS: &[(&str, Needs)] = &[
    ("/grpc.health.v1.Health/Check", Needs::Nothing),
    ("/grpc.health.v1.Health/Watch", Needs::Nothing),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Needs::User(Role::Viewer)),
    ("/externalscaler.ExternalScaler/IsActive", Needs::User(Role::Viewer)),
    ("/externalscaler.ExternalScaler/StreamIsActive", Needs::User(Role::Viewer)),
    ("/externalscaler.ExternalScaler/GetMetricSpec", Needs::User(Role::Viewer)),
    ("/externalscaler.ExternalScaler/GetMetrics", Needs::User(Role::Viewer)),
    ("/externalscaler.ExternalScaler/StreamMetricSpec", Needs::User(Role::Viewer)),
    ("/biosweep.v1.Access/Enrol", Needs::WorkerToken),
    ("/biosweep.v1.Access/Renew", Needs::Worker),
    ("/biosweep.v1.Access/CreateToken", Needs::User(Role::Operator)),
    ("/biosweep.v1.Access/ListTokens", Needs::User(Role::Operator)),
    ("/biosweep.v1.Access/Revoke", Needs::User(Role::Operator)),
    ("/biosweep.v1.Workers/Session", Needs::Worker),
    ("/biosweep.v1.Workers/WhichEnded", Needs::Worker),
    ("/biosweep.v1.Sweeps/List", Needs::User(Role::Viewer)),
    ("/biosweep.v1.Sweeps/Show", Needs::User(Role::Viewer)),
    ("/biosweep.v1.Sweeps/Spec", Needs::User(Role::Viewer)),
    ("/biosweep.v1.Sweeps/Watch", Needs::User(Role::Viewer)),
    ("/biosweep.v1.Sweeps/ListWorkers", Needs::User(Role::Viewer)),
    ("/biosweep.v1.Sweeps/Results", Needs::User(Role::Viewer)),
    ("/biosweep.v1.Sweeps/Plan", Needs::User(Role::Viewer)),
    ("/biosweep.v1.Sweeps/Trained", Needs::User(Role::Viewer)),
    ("/biosweep.v1.Sweeps/Curves", Needs::User(Role::Viewer)),
    ("/biosweep.v1.Sweeps/Submit", Needs::User(Role::Submitter)),
    ("/biosweep.v1.Sweeps/Extend", Needs::User(Role::Submitter)),
    ("/biosweep.v1.Sweeps/Cancel", Needs::User(Role::Submitter)),
    ("/biosweep.v1.Sweeps/Pause", Needs::User(Role::Submitter)),
    ("/biosweep.v1.Sweeps/Resume", Needs::User(Role::Submitter)),
    ("/biosweep.v1.Sweeps/Retry", Needs::User(Role::Submitter)),
    ("/biosweep.v1.Sweeps/Note", Needs::User(Role::Submitter)),
    ("/biosweep.v1.Sweeps/Delete", Needs::User(Role::Operator)),
    ("/biosweep.v1.Sweeps/ReleaseWorker", Needs::User(Role::Operator)),
];

/// What the method at this path needs; `None` for a path that is not in the table.
pub(crate) fn needs(path: &str) -> Option<Needs> {
    METHODS.iter().find(|(known, _)| *known == path).map(|(_, needs)| *needs)
}

impl Needs {
    /// Whether a caller has what the method needs.
    pub(crate) fn are_met_by(self, caller: &Caller) -> bool {
        match (self, caller) {
            (Self::Nothing, _) | (_, Caller::Owner) => true,
            (Self::WorkerToken, Caller::Holder { role, .. }) => *role == Role::Worker,
            (Self::Worker, Caller::Worker { .. }) => true,
            (Self::User(least), Caller::Holder { role, .. }) => role.includes(least),
            _ => false,
        }
    }

    /// What is needed, in words.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::WorkerToken => "a token with the role worker",
            Self::Worker => "the certificate of a worker",
            Self::User(Role::Viewer) => "a token with the role viewer, submitter or operator",
            Self::User(Role::Submitter) => "a token with the role submitter or operator",
            Self::User(_) => "a token with the role operator",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use biosweep_common::vocabulary::access::token::TokenId;
    use biosweep_common::vocabulary::ids::WorkerId;
    use biosweep_common::vocabulary::time::WallTime;
    use biosweep_proto::{externalscaler, v1};
    use prost::Message as _;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn every_method_that_is_served_is_in_the_table_and_no_other() {
        let mut served = BTreeSet::new();
        let descriptors = [
            v1::DESCRIPTORS,
            externalscaler::DESCRIPTORS,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        ];
        for bytes in descriptors {
            let files = prost_types::FileDescriptorSet::decode(bytes).expect("descriptors");
            for file in files.file {
                for service in &file.service {
                    served.extend(
                        service
                            .method
                            .iter()
                            .map(|method| format!("/{}.{}/{}", file.package(), service.name(), method.name())),
                    );
                }
            }
        }
        let listed: BTreeSet<String> = METHODS.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(listed, served);
        assert_eq!(METHODS.len(), listed.len(), "each method once");
    }

    #[test]
    fn each_caller_may_call_the_methods_of_its_role_only() {
        let allowed = |caller: &Caller| METHODS.iter().filter(|(_, needs)| needs.are_met_by(caller)).count();
        let holder = |role| Caller::Holder { token: TokenId([0; 8]), role, until: None };
        let worker = Caller::Worker { worker: WorkerId(Uuid::nil()), until: WallTime(1) };
        assert_eq!(allowed(&Caller::Owner), METHODS.len());
        assert_eq!(allowed(&Caller::Nobody), 2, "health");
        assert_eq!(allowed(&holder(Role::Worker)), 3, "health and enrolment");
        assert_eq!(allowed(&worker), 5, "health, renewal and its own service");
        assert_eq!(allowed(&holder(Role::Viewer)), 2 + 1 + 5 + 9);
        assert_eq!(allowed(&holder(Role::Submitter)), 2 + 1 + 5 + 9 + 7);
        assert_eq!(allowed(&holder(Role::Operator)), 2 + 1 + 5 + 9 + 7 + 2 + 3);
    }
}
