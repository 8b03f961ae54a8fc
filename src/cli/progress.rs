//! Progress on a terminal: a line per step, with bytes, rate and time left.
//!
//! A finished step stays on the screen with its size and its time. Notes and warnings are printed
//! above the running line, and on standard error whether or not progress is shown.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use indicatif::ProgressBar;
use indicatif::ProgressDrawTarget;
use indicatif::ProgressStyle;

use crate::base::monitor::Monitor;
use crate::cli::human::printable;
use crate::cli::ui;
use crate::cli::ui::Ui;

const WITH_TOTAL: &str =
    "{msg:24!} {bar:8} {bytes:>10}/{total_bytes:10} {bytes_per_sec:>12} {eta:>4} left";
const WITHOUT_TOTAL: &str = "{msg:24!} {spinner:8} {bytes:>10} {bytes_per_sec:>23} {elapsed:>4}";
const PAUSED: &str = "{msg:24!} {prefix:54!}";
const FINISHED: &str = "{msg:24!} {bytes:>19} in {elapsed}";

/// How often a line moves when no bytes do.
const TICK: Duration = Duration::from_millis(200);

/// Watches a verb for somebody at a terminal, or for a log file.
pub(super) struct Progress {
    ui: Ui,
    running: Mutex<Option<ProgressBar>>,
    target: Box<dyn Fn() -> ProgressDrawTarget + Send + Sync>,
}

impl Progress {
    /// Returns a watcher.
    pub(super) fn new(ui: Ui) -> Self {
        let target = if ui.shows_progress() {
            ProgressDrawTarget::stderr
        } else {
            ProgressDrawTarget::hidden
        };
        Self { ui, running: Mutex::default(), target: Box::new(target) }
    }

    /// Ends the running line; it stays on the screen.
    pub(super) fn finish(&self) {
        self.replace(None);
    }

    fn replace(&self, next: Option<ProgressBar>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = running.take() {
            bar.set_style(style(FINISHED));
            // Not `finish`, which would claim that all of an estimated total was reached.
            bar.abandon();
            if bar.is_hidden() {
                self.ui.step(&bar.message(), bar.position(), bar.elapsed());
            } else {
                ui::end_line();
            }
        }
        *running = next;
    }

    /// Prints above the running line.
    fn print(&self, print: impl FnOnce()) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        match running.as_ref() {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}

impl Monitor for Progress {
    fn step(&self, name: &str, total: Option<u64>) {
        self.finish();
        let bar = ProgressBar::with_draw_target(total, (self.target)());
        bar.set_style(running_style(total));
        bar.set_message(printable(name));
        if self.ui.shows_progress() {
            bar.enable_steady_tick(TICK);
        }
        self.replace(Some(bar));
    }

    fn advance(&self, bytes: u64) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = running.as_ref() {
            bar.inc(bytes);
        }
    }

    fn waits(&self, why: Option<&str>) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(bar) = running.as_ref() else { return };
        match why {
            Some(why) => {
                bar.set_prefix(printable(why));
                bar.set_style(style(PAUSED));
                bar.suspend(|| self.ui.detail(why));
            }
            None => bar.set_style(running_style(bar.length())),
        }
    }

    fn detail(&self, text: &str) {
        self.print(|| self.ui.detail(text));
    }

    fn note(&self, text: &str) {
        self.print(|| self.ui.note(text));
    }

    fn warn(&self, text: &str) {
        self.print(|| ui::warning(text));
    }

    fn output(&self, line: &str) {
        self.print(|| self.ui.output(line));
    }
}

fn running_style(total: Option<u64>) -> ProgressStyle {
    style(if total.is_some() { WITH_TOTAL } else { WITHOUT_TOTAL })
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("a test draws each template")
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use indicatif::TermLike;

    use crate::cli::flags::GlobalFlags;

    use super::*;

    /// A terminal that keeps all that was ever written to it.
    #[derive(Debug, Clone, Default)]
    struct Screen(Arc<Mutex<String>>);

    impl Screen {
        fn watch(&self) -> Progress {
            let screen = self.clone();
            let target = move || ProgressDrawTarget::term_like(Box::new(screen.clone()));
            let ui = Ui::new(&GlobalFlags::default());
            Progress { ui, running: Mutex::default(), target: Box::new(target) }
        }

        fn text(&self) -> String {
            self.0.lock().unwrap().clone()
        }
    }

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            80
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)?;
            self.write_str("\n")
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            self.write_str("\n")
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_step_shows_its_bytes_its_total_its_rate_and_the_time_left() {
        let screen = Screen::default();
        let progress = screen.watch();
        progress.step("dump database of a very long name", Some(4 << 20));
        progress.advance(1 << 20);
        let text = screen.text();
        for part in ["dump database of a very ", "1.00 MiB/4.00 MiB", "/s", "left"] {
            assert!(text.contains(part), "{part}: {text:?}");
        }
        for line in text.lines() {
            assert!(line.trim_end().chars().count() <= 80, "{line:?}");
        }
    }

    #[test]
    fn a_step_without_a_total_shows_no_time_left() {
        let screen = Screen::default();
        let progress = screen.watch();
        progress.step("dump database", None);
        progress.advance(1 << 20);
        assert!(screen.text().contains("1.00 MiB"), "{:?}", screen.text());
        assert!(!screen.text().contains("left"), "{:?}", screen.text());
    }

    #[test]
    fn a_step_that_waits_says_why_until_it_goes_on() {
        let screen = Screen::default();
        let progress = screen.watch();
        progress.step("dump database", Some(4 << 20));
        progress.waits(Some("paused: 40 threads of others run, more than 25"));
        progress.advance(1);
        let paused = screen.text();
        assert!(paused.contains("dump database") && paused.contains("more than 25"), "{paused:?}");
        progress.waits(None);
        progress.advance(1 << 20);
        progress.finish();
        let after = screen.text().split_off(paused.len());
        assert!(after.contains("1.00 MiB in 0s"), "{after:?}");
    }

    #[test]
    fn a_finished_step_stays_with_its_size_and_claims_no_more() {
        let screen = Screen::default();
        let progress = screen.watch();
        progress.step("dump database", Some(4 << 20));
        progress.advance(1 << 20);
        progress.finish();
        let text = screen.text();
        let last = text.lines().last().unwrap_or_default();
        assert!(last.contains("1.00 MiB in 0s"), "{last:?}");
        progress.advance(1);
        assert_eq!(screen.text(), text);
    }
}
