//! A MariaDB database as a source: how it is reached, read, built anew and swapped.
//!
//! All SQL of the program is in this folder, each statement in a function named for its purpose.

mod defaults;
pub mod login;
pub mod quote;
pub mod connection;
mod session;
mod failure;
pub mod server;
mod grants;
pub mod rights;
#[cfg(test)]
mod throwaway;
