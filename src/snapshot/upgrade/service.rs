//! The service that is upgraded: its units, its health, its packages and its version.

use crate::base::error::Result;
use crate::base::masked;
use crate::profile::service::Command;
use crate::snapshot::execution::Undo;
use crate::snapshot::execution::Upgrade;
use crate::snapshot::upgrade::UpgradeOptions;
use crate::snapshot::upgrade::Upgrading;
use crate::snapshot::upgrade::path;
use crate::system::health;
use crate::system::packages;
use crate::system::packages::Installed;
use crate::system::units;

/// How long a command that the user gives to bring the packages back may take.
const UNDO_SECONDS: u64 = 3600;

impl Upgrading<'_> {
    /// Fails where the units of the service cannot be asked for, or are not to be stopped and started
    /// here.
    pub(super) async fn check_units(&self) -> Result<()> {
        units::present(&self.profile.service.units).await?;
        units::refuse_managed(&self.profile.service.units).await
    }

    /// Writes down what is there before anything is changed.
    pub(super) async fn write_down(&self, options: &UpgradeOptions) -> Result<()> {
        let service = &self.profile.service;
        let from = path::installed(self.profile, &self.host.root, options.from.as_ref()).await?;
        let upgrade = Upgrade {
            command: masked::words(&options.command),
            undo: undo(options.undo.as_deref(), service.undo.as_ref()),
            from: from.map(|version| version.to_string()),
            to: options.to.as_ref().map(ToString::to_string),
            units: units::active(&service.units).await?,
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
        let present = units::present(&self.profile.service.units).await?;
        units::stop(&present, self.monitor).await
    }

    /// Starts the units that ran before.
    pub(super) async fn start_units(&self) -> Result<()> {
        units::start(&self.upgrade().units, self.monitor).await
    }

    /// Waits until the service is well.
    pub(super) async fn await_health(&self) -> Result<()> {
        health::wait_until_well(&self.profile.service.health, self.monitor).await
    }

    /// Returns the packages of the service that are installed.
    pub(super) async fn installed(&self) -> Result<Installed> {
        packages::installed(&self.profile.service.packages).await
    }

    /// Returns the commands that bring the programs back from where they are now, and start them.
    pub(super) fn ways_back(&self, now: &Installed) -> Vec<String> {
        let Upgrade { units, installed, .. } = self.upgrade();
        let mut commands = packages::ways_back(&installed, now);
        commands.extend(units.iter().map(|unit| format!("systemctl start {unit}")));
        commands
    }
}

/// Returns what brings the packages back: what the user gives, or the profile's own.
pub(super) fn undo(given: Option<&str>, own: Option<&Command>) -> Option<Undo> {
    let undo = |command: &str, seconds| Undo { command: command.to_owned(), seconds, done: false };
    given
        .map(|command| undo(command, UNDO_SECONDS))
        .or_else(|| own.map(|own| undo(&own.text, own.limit.as_secs())))
}
