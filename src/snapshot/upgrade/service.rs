//! The service that is upgraded: its units, its health, its packages and its version.

use crate::base::error::Result;
use crate::base::masked;
use crate::profile::service;
use crate::snapshot::execution::Undo;
use crate::snapshot::execution::Upgrade;
use crate::snapshot::upgrade::UpgradeOptions;
use crate::snapshot::upgrade::Upgrading;
use crate::snapshot::upgrade::failed;
use crate::snapshot::upgrade::path;
use crate::system::cluster;
use crate::system::health;
use crate::system::packages;
use crate::system::packages::Installed;
use crate::system::units;
use crate::system::units::Unit;

/// How long it may take to bring the packages back by a command that the user gives, or each of those
/// of their installer.
const UNDO_SECONDS: u64 = 3600;

impl Upgrading<'_> {
    /// Fails where the units of the service cannot be asked for, or are not to be stopped and started
    /// here.
    pub(super) async fn check_units(&self) -> Result<()> {
        units::present(&self.profile.service.units).await?;
        cluster::refuse_managed(&self.profile.service.units).await
    }

    /// Writes down what is there before anything is changed.
    pub(super) async fn write_down(&self, options: &UpgradeOptions) -> Result<()> {
        let service = &self.profile.service;
        let from = path::installed(self.profile, &self.host.root, options.from.as_ref()).await?;
        let present = units::known(&service.units).await?;
        let active = present.iter().filter(|unit| unit.is_active);
        let upgrade = Upgrade {
            command: masked::words(&options.command),
            undo: undo(options.undo.as_deref(), service.undo.as_ref()),
            from: from.map(|version| version.to_string()),
            to: options.to.as_ref().map(ToString::to_string),
            units: active.map(|unit| unit.name.clone()).collect(),
            present,
            installed: self.installed().await?,
            ..Upgrade::default()
        };
        self.journal.change(|execution| {
            // Whoever goes on may be somewhere else.
            execution.repository = self.repository.folder().display().to_string();
            execution.server = Some(self.host.database.server.to_string());
            execution.upgrade = Some(upgrade);
        })
    }

    /// Writes down the version that the upgrade has led to; warns where it is not the one that was
    /// wanted, or cannot be found: the service is well, whatever it is.
    pub(super) async fn write_down_found(&self) -> Result<()> {
        let found = match path::installed(self.profile, &self.host.root, None).await {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(()),
            Err(error) => {
                self.monitor.warn(&error.chain());
                return Ok(());
            }
        };
        self.change_journal(|upgrade| upgrade.found = Some(found.to_string()))?;
        let wanted = self.upgrade().to.and_then(|to| to.parse().ok());
        if let Some(wanted) = wanted.filter(|wanted| !found.begins_with(wanted)) {
            self.monitor.warn(&format!("{found} is installed now, not {wanted}"));
        }
        Ok(())
    }

    /// Stops all units of the service that run, whether they ran before or not.
    pub(super) async fn stop_units(&self) -> Result<()> {
        let known = units::known(&self.profile.service.units).await?;
        let may_run = known.into_iter().filter(Unit::may_run);
        let names: Vec<_> = may_run.map(|unit| unit.name).collect();
        units::stop(&names, self.monitor).await
    }

    /// Stops those that run again: an installer may start what it installs.
    pub(super) async fn stop_started(&self) -> Result<()> {
        let active = units::active(&self.profile.service.units).await?;
        units::stop(&active, self.monitor).await
    }

    /// Starts the units of the service after its command: an upgrade may take one away, or turn it
    /// off, and bring another in its place.
    pub(super) async fn start_upgraded(&self) -> Result<()> {
        let before = self.upgrade();
        let now = units::known(&self.profile.service.units).await?;
        let due = units::due(&before.present, &now);
        let stopped: Vec<_> = before.units.iter().filter(|unit| !due.contains(unit)).collect();
        for unit in &stopped {
            self.monitor.note(&format!("{unit} ran before, and was taken away or turned off"));
        }
        if let (Some(unit), true) = (stopped.first(), due.is_empty()) {
            let told = format!("cannot start the service: {unit} is gone, and nothing has come");
            return Err(failed(told).hint("`units` in the profile names those of all its versions"));
        }
        let was_there = |name: &String| before.present.iter().any(|unit| unit.name == *name);
        let is_enabled =
            |name: &String| now.iter().any(|unit| unit.name == *name && unit.is_enabled());
        for unit in due.iter().filter(|unit| !was_there(unit)) {
            let how = if is_enabled(unit) { "" } else { ", but not when the host does" };
            self.monitor.note(&format!("{unit} is new, and starts{how}"));
        }
        units::start(&due, self.monitor).await
    }

    /// Starts the units that ran before.
    pub(super) async fn start_units(&self) -> Result<()> {
        let before = self.upgrade();
        units::enable_again(&before.present).await?;
        units::start(&before.units, self.monitor).await
    }

    /// Waits until the service is well, as far as anything can be asked.
    pub(super) async fn await_health(&self) -> Result<()> {
        let checks = health::wait_until_well(&self.profile.service.health, self.monitor).await?;
        self.warn_of(self.change_journal(|upgrade| upgrade.checks = checks));
        Ok(())
    }

    /// Returns the packages of the service that are installed.
    pub(super) async fn installed(&self) -> Result<Installed> {
        packages::installed(&self.profile.service.packages).await
    }

    /// Returns the commands that bring the programs back from where they are now, and start them.
    pub(super) fn ways_back(&self, now: &Installed) -> Vec<String> {
        let Upgrade { units, installed, .. } = self.upgrade();
        let ways = packages::ways_back(&installed, now);
        let mut commands: Vec<_> = ways.iter().map(ToString::to_string).collect();
        commands.extend(units.iter().map(|unit| format!("systemctl start {unit}")));
        commands
    }
}

/// Returns what brings the packages back: what the user gives, or the profile's own.
pub(super) fn undo(given: Option<&str>, own: Option<&service::Undo>) -> Option<Undo> {
    let undo = |command: Option<&str>, seconds| Undo {
        command: command.map(str::to_owned),
        seconds,
        done: false,
    };
    match (given, own) {
        (Some(given), _) => Some(undo(Some(given), UNDO_SECONDS)),
        (None, Some(service::Undo::Packages)) => Some(undo(None, UNDO_SECONDS)),
        (None, Some(service::Undo::Command(own))) => {
            Some(undo(Some(&own.text), own.limit.as_secs()))
        }
        (None, None) => None,
    }
}
