//! Death at every durable step of a restore in place, which lets a mixture live meanwhile: its journal
//! says so, and both ways out of it lead out.

use crate::faults::Live;
use crate::faults::RESUME;
use crate::faults::counted;
use crate::faults::use_again;
use crate::place::Place;
use crate::tally;

pub(crate) const IN_PLACE: &[&str] =
    &["restore", "before", "--force", "--restore-certificates", "--in-place"];

/// Has something of all that is replaced in place.
pub(crate) fn use_oddly(place: &Place) -> Live {
    let saved = use_again(place);
    place.snap(&["restore", "--discard-previous"]).succeeded();
    place.server.sql("DO NEXTVAL(centreon_studio.number)");
    saved
}

impl Place {
    /// Returns step and safety snapshot of the last execution that has not ended.
    fn unfinished(&self) -> Option<(String, Option<String>)> {
        let listed = self.snap(&["executions", "list", "--json"]).json();
        let executions = listed["executions"].as_array().expect("a list");
        let last = executions.iter().rfind(|one| one["status"] == "started")?;
        let step = last["step"].as_str().expect("a step").to_owned();
        Some((step, last["safety_snapshot"].as_str().map(str::to_owned)))
    }

    /// Checks that a mixture is live only where the journal says so.
    fn assert_mixture_is_told(&self, old: &Live, new: &Live, at: &str) {
        self.wait_until_alone();
        let is_told = self.unfinished().is_some_and(|(step, _)| step == "swapping");
        let live = self.all();
        assert!(is_told || live == *old || live == *new, "{at}: an untold mixture is live");
    }
}

#[test]
fn a_restore_in_place_that_is_killed_at_any_fault_point_is_finished_by_a_resume() {
    let place = Place::used_studio();
    use_oddly(&place);
    let points = place.points(IN_PLACE);
    for (point, time) in counted(&points) {
        let at = format!("in place, at {point} the {time}. time");
        let new = use_oddly(&place);
        let old = place.all();
        place.kill_at(point, time, IN_PLACE);
        place.assert_mixture_is_told(&old, &new, &at);
        place.assert_repository_is_whole(&at);
        // Before the first table goes it is undone; from then on it is finished, or is already.
        let has_begun = place.unfinished().is_none_or(|(step, _)| step.starts_with("swap"));
        place.snap(RESUME).succeeded();
        assert!(place.all() == if has_begun { new } else { old }, "{at}: it was not finished");
        assert_eq!(place.beside(), [""; 0], "{at}");
    }
    tally::tell(
        points.len(),
        "kills",
        "of restore --in-place, one at each fault point it comes to",
    );
}

#[test]
fn a_restore_in_place_that_is_killed_at_any_fault_point_goes_back_by_its_safety_snapshot() {
    let place = Place::used_studio();
    use_oddly(&place);
    let points = place.points(IN_PLACE);
    let mut kills = 0;
    for (point, time) in counted(&points) {
        let at = format!("going back, at {point} the {time}. time");
        use_oddly(&place);
        let old = place.all();
        place.kill_at(point, time, IN_PLACE);
        let Some((step, Some(safety))) = place.unfinished() else { continue };
        let back = ["restore", &safety, "--force", "--restore-certificates", "--in-place"];
        if step != "swapping" {
            // What is live is no mixture, and may be worth saving.
            if step != "started" {
                place.snap(&back).failed(11, &["--resume"]);
            }
            place.snap(RESUME).succeeded();
            if place.all() != old {
                place.snap(&back).succeeded();
            }
        } else if place.all() != old && kills % 4 == 0 {
            // Killed on its way back too; the last one counts.
            place.kill_at("in-place.proven", 1, &back);
            let mixture = "neither what it was nor what was saved";
            place.snap(&["rollback"]).failed(11, &[mixture, &safety]);
            place.snap(RESUME).succeeded();
        } else {
            place.snap(&back).succeeded();
        }
        assert!(place.all() == old, "{at}: what is live is not as it was before");
        assert_eq!(place.snap(RESUME).succeeded(), "nothing is unfinished", "{at}");
        assert_eq!(place.beside(), [""; 0], "{at}");
        kills += 1;
    }
    assert!(kills > 20, "only {kills} were unfinished");
    tally::tell(
        kills,
        "kills",
        "of restore --in-place, after which its safety snapshot leads back",
    );
}

#[test]
fn a_resume_in_place_that_is_killed_at_any_fault_point_is_resumed() {
    let place = Place::used_studio();
    let begin = || {
        let new = use_oddly(&place);
        place.kill_at("in-place.moved", 2, IN_PLACE);
        new
    };
    begin();
    let points = place.points(RESUME);
    for (point, time) in counted(&points) {
        let at = format!("resume in place, at {point} the {time}. time");
        let new = begin();
        place.kill_at(point, time, RESUME);
        place.assert_mixture_is_told(&new, &new, &at);
        place.snap(RESUME).succeeded();
        assert!(place.all() == new, "{at}: it was not finished");
        assert_eq!(place.beside(), [""; 0], "{at}");
    }
    tally::tell(
        points.len(),
        "kills",
        "of restore --resume in place, one at each fault point it comes to",
    );
}
