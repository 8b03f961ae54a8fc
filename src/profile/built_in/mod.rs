//! The profiles that need no configuration file, each in a file of its own: what an operator
//! copies, or extends.

use std::path::Path;

use crate::profile::Profile;
use crate::profile::config::Config;

/// Each may extend those before it.
const FILES: [(&str, &str); 5] = [
    ("studio.toml", include_str!("studio.toml")),
    ("centreon-map.toml", include_str!("centreon-map.toml")),
    ("centreon-map-engine.toml", include_str!("centreon-map-engine.toml")),
    ("centreon-poller.toml", include_str!("centreon-poller.toml")),
    ("cloudify-manager.toml", include_str!("cloudify-manager.toml")),
];

/// Returns the built-in profiles.
pub(super) fn built_in() -> Vec<Profile> {
    let mut profiles = Vec::new();
    for (file, text) in FILES {
        let config = Config::parse_over(Path::new(file), text, &profiles);
        profiles.extend(config.expect("a test reads the built-in profiles").profiles);
    }
    profiles
}

#[cfg(test)]
mod tests {
    use crate::profile::What;
    use crate::profile::service::Check;
    use crate::profile::service::Detection;
    use crate::profile::service::Roles;

    use super::*;
    use crate::profile::upgrade::VersionRules;

    fn profile(name: &str) -> Profile {
        let found = built_in().into_iter().find(|profile| profile.name == name);
        found.expect("the profile is built in")
    }

    /// Returns each source as `name = what`, with `?` where it is optional.
    fn sources(profile: &Profile) -> Vec<String> {
        let sources = profile.sources.iter().map(|source| {
            let what = match &source.what {
                What::Database { database, users: false } => format!("database {database}"),
                What::Files { path, certificates: true, .. } => {
                    format!("certificates {}", path.display())
                }
                What::Files { path, .. } => path.display().to_string(),
                What::Command(pair) => pair.save.split(' ').take(4).collect::<Vec<_>>().join(" "),
                what @ What::Database { .. } => panic!("{what:?}"),
            };
            let optional = if source.optional { "?" } else { "" };
            format!("{}{optional} = {what}", source.name)
        });
        sources.collect()
    }

    #[test]
    fn every_built_in_profile_has_the_name_of_its_file_and_says_what_it_is_for() {
        let profiles = built_in();
        let names: Vec<String> =
            profiles.iter().map(|profile| format!("{}.toml", profile.name)).collect();
        assert_eq!(names, FILES.map(|(file, _)| file));
        for profile in profiles {
            let service = profile.service;
            assert!(service.about.is_some_and(|about| about.len() < 90), "{}", profile.name);
            let known = !service.units.is_empty()
                && !service.health.is_empty()
                && !service.versions.is_empty()
                && !service.packages.is_empty()
                && !service.follow_ups.is_empty()
                && !service.new_host.is_empty();
            assert!(known, "{}", profile.name);
            assert!(service.rules.is_some(), "{}", profile.name);
        }
    }

    #[test]
    fn the_package_that_tells_a_version_is_among_those_that_an_upgrade_has_to_bring_back() {
        for Profile { name, service, .. } in built_in() {
            let recorded = |package: &str| {
                let begins = |glob: &String| package.starts_with(glob.trim_end_matches('*'));
                service.packages.iter().any(begins)
            };
            for detection in &service.versions {
                if let Detection::Rpm(package) | Detection::Dpkg(package) = detection {
                    assert!(recorded(package), "{name}: {package}");
                }
            }
        }
    }

    #[test]
    fn a_studio_is_database_certificates_and_users() {
        let studio = profile("studio");
        let expected = [
            "database = database centreon_studio",
            "certificates? = certificates /etc/cloudify/ssl",
            "users? = /opt/manager/rest-security.conf",
        ];
        assert_eq!(sources(&studio), expected);
        let roles = Roles {
            database: Some("database".to_owned()),
            security_file: Some("users".to_owned()),
            columns: Vec::new(),
        };
        assert_eq!(studio.service.roles, Some(roles));
    }

    #[test]
    fn versions_of_a_studio_are_those_of_its_roles() {
        let rules = profile("studio").service.rules.expect("it names rules");
        let rules = VersionRules::built_in(&rules).expect("there are such rules");
        let check = |saved: &str, target: &str| {
            rules.check_restore(&saved.parse().unwrap(), &target.parse().unwrap())
        };
        // A MAP server of 4.0 must run as 4.1 first, and a manager need not.
        check("4.0.0", "5.0.5").expect("any way up");
        assert!(check("4.2", "4.1.1").is_err());
    }

    #[test]
    fn centreon_map_is_of_either_generation_or_both() {
        let map = profile("centreon-map");
        assert!(map.at_least_one);
        let expected = [
            "database? = database centreon_studio",
            "configuration? = /etc/centreon-studio",
            "engine-database? = database centreon_map",
            "engine-configuration? = /etc/centreon-map",
            "mariadb-settings? = /etc/my.cnf.d/map.cnf",
            "license? = /etc/centreon/license.d/map.license",
        ];
        assert_eq!(sources(&map), expected);
        for health in &map.service.health {
            assert!(matches!(health.check, Check::Http { .. }), "{health:?}");
            let unit = health.unit.as_ref().expect("asked only where it runs");
            assert!(map.service.units.contains(unit), "{unit}");
        }
        let engine = ["database = database centreon_map", "configuration = /etc/centreon-map"];
        assert_eq!(sources(&profile("centreon-map-engine"))[..2], engine);
    }

    #[test]
    fn a_poller_has_no_database_and_all_documented_paths() {
        let poller = profile("centreon-poller");
        assert!(poller.at_least_one);
        let expected = [
            "gorgone-keys? = /var/lib/centreon-gorgone/.keys",
            "gorgone? = /etc/centreon-gorgone/config.d",
            "centreon? = /etc/centreon",
            "as400? = /etc/centreon-as400",
            "traps? = /etc/snmp/centreon_traps",
            "plugin-state? = /var/lib/centreon/centplugins",
            "engine-state? = /var/log/centreon-engine",
        ];
        assert_eq!(sources(&poller), expected);
        let commands: Vec<Option<&str>> =
            poller.service.follow_ups.iter().map(|it| it.command.as_deref()).collect();
        assert_eq!(commands, [None, Some("systemctl restart gorgoned")]);
    }

    #[test]
    fn a_manager_has_its_postgresql_by_a_command() {
        let expected = [
            "certificates = certificates /etc/cloudify/ssl",
            "users = /opt/manager/rest-security.conf",
            "configuration? = /etc/cloudify/config.yaml",
            "authorization? = /opt/manager/authorization.conf",
            "database? = database centreon_studio",
            "postgresql = runuser -u postgres --",
        ];
        assert_eq!(sources(&profile("cloudify-manager")), expected);
    }
}
