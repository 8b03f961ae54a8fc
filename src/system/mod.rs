//! What runs on this host: the units of a service, its health, its packages, its version.
//!
//! The host's own tools are asked (`systemctl`, `pcs`, `rpm`, `dpkg-query`), and one that is absent
//! tells nothing: a host has no two package managers, and a container has no systemd. Only what is
//! `--root` applies to is read below it.
