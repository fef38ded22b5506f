//! Who may do what: roles, tokens and certificates, wrong clocks, the login of browsers, and other users of the machine.

mod certificates;
mod clocks;
mod login;
mod roles;
mod users;
