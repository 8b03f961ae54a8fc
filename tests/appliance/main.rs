//! Tests against a whole appliance: a real MariaDB, real files, and the real `snap`.
//!
//! Every test has a `Place` of its own: a folder with a server, a root, a state folder and a repository,
//! all gone when it ends. A test that cannot have its server fails; none passes by skipping.
#![expect(clippy::disallowed_methods, reason = "what a test writes needs no durable publishing")]

mod server;
mod session;
mod aim;
mod tree;
mod place;
mod layout;
mod harness;
mod fixture;
mod registry;
mod stored;
mod archive;
mod recovery;
mod qualified;
mod input;
mod housekeeping;
mod following;
mod restore;
mod create;
mod chunks;
mod deltas;
mod moment;
mod stall;
mod loading;
mod digests;
mod change;
mod stopped;
mod unattended;
mod restore_objects;
mod restore_values;
mod restore_failures;
mod rights;
mod history;
mod logins;
mod mariadb_11_8;
mod restore_interrupts;
mod tally;
mod disk;
mod faulty_disks;
mod faulty_connections;
mod encrypted;
mod kills;
mod server_kills;
mod residue;
mod executions;
mod hooks;
mod new_host;
mod rollback;
mod commands;
mod profiles;
mod upgraded_host;
mod upgrade;
mod every_profile;
mod security_file;
mod busy;
mod certificates;
mod roles;
mod in_place;
mod mounts;
mod globs;
#[cfg(feature = "fault-points")]
mod faults;
#[cfg(feature = "fault-points")]
mod faults_in_place;
#[cfg(feature = "fault-points")]
mod stray_keys;
mod users;
mod users_hostile;
mod users_failures;
mod random;
mod odd_servers;
mod traps;
mod losses;
mod features;
mod differences;
mod preflight;
