//! The profiles that need no configuration file, each in a file of its own: what an operator
//! copies, or extends.

use std::path::Path;

use crate::profile::Profile;
use crate::profile::config::Config;

/// Each may extend those before it.
const FILES: [(&str, &str); 1] = [("studio.toml", include_str!("studio.toml"))];

/// Returns the built-in profiles.
pub(super) fn built_in() -> Vec<Profile> {
    let mut profiles = Vec::new();
    for (file, text) in FILES {
        let config = Config::parse_over(Path::new(file), text, &profiles);
        profiles.extend(config.expect("a test reads the built-in profiles").profiles);
    }
    profiles
}
