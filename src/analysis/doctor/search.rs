//! Looks for the convention that fits where figures are off: each alone, then two together.
//! Not here: the conventions themselves, and measuring.

use crate::analysis::live;
use crate::model;
use crate::task::{Cancel, Cancelled, OnProgress, Progress};

use super::convention::Convention;
use super::examine::{Diagnostics, Found, Reading, Subject, Wiring, read};
use super::{Attempt, Figures, Trial, Verdict, distance, is_clearer, judge, rank, share, short};

impl Diagnostics<'_> {
    /// What was tried, best first, and whether the first may be named. Where figures are off: what fitted another SAE, else
    /// every convention alone, else two together.
    pub(super) fn search(
        &mut self,
        all: &[Convention],
        subject: &Subject<'_>,
        (off, stored): (bool, f64),
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<(Vec<Attempt>, bool), live::Error> {
        if let (Found::These(found), true) = (self.found.clone(), off) {
            let mut same = self.attempts(vec![found], subject, cancel, progress)?;
            if rank(&mut same, stored) {
                return Ok((same, true));
            }
        }
        let alone = all.iter().map(|one| vec![one.clone()]).collect();
        let mut attempts = self.attempts(alone, subject, cancel, progress)?;
        let mut fits = rank(&mut attempts, stored) && off;
        // What explains none of one SAE's figures together with another will not explain the next one's.
        if off && !fits && !matches!(self.found, Found::NoPair) {
            let nearest = attempts.iter().map(|one| one.trial.distance).fold(stored, f64::min);
            let mut pairs = self.attempts(pairs(all), subject, cancel, progress)?;
            fits = rank(&mut pairs, nearest);
            self.found = Found::NoPair;
            pairs.append(&mut attempts);
            attempts = pairs;
            if !fits {
                rank(&mut attempts, stored);
            }
        }
        if let Some(best) = attempts.first().filter(|_| fits) {
            self.found = Found::These(best.changed.clone());
        }
        Ok((attempts, fits))
    }

    /// Tries conventions on an SAE whose figures are possible but not known to be right, and adds the attempts where one of
    /// them is clearly better, it first; what is better then.
    pub(super) fn clearer(
        &mut self,
        all: Vec<Convention>,
        attempts: &mut Vec<Attempt>,
        stored: &Figures,
        subject: &Subject<'_>,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Option<String>, live::Error> {
        let mut tried = self.attempts(all.into_iter().map(|one| vec![one]).collect(), subject, cancel, progress)?;
        for attempt in &mut tried {
            attempt.trial.fits &= is_clearer(&attempt.trial.measured, stored);
        }
        tried.sort_by(|a, b| (!a.trial.fits).cmp(&!b.trial.fits).then(a.trial.distance.total_cmp(&b.trial.distance)));
        let Some(best) = tried.first().filter(|best| best.trial.fits) else { return Ok(None) };
        let say = |figures: &Figures| {
            let variance = figures.explained_variance.unwrap_or_default();
            format!("{} with L0 {}", share(variance), short(figures.l0.unwrap_or_default()))
        };
        let better = format!("explained variance is {}, and {} otherwise", say(stored), say(&best.trial.measured));
        self.found = Found::These(best.changed.clone());
        tried.append(attempts);
        *attempts = tried;
        Ok(Some(better))
    }

    /// Measures with each of these changed; what cannot be had is left out.
    fn attempts(
        &mut self,
        changes: Vec<Vec<Convention>>,
        subject: &Subject<'_>,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Vec<Attempt>, live::Error> {
        let (mut attempts, total) = (Vec::new(), changes.len() as u64);
        for (done, changed) in changes.into_iter().enumerate() {
            let what = format!("SAE {}: {}", subject.id, said(&changed));
            progress(Progress::steps(what, done as u64, total));
            attempts.extend(self.attempt(changed, subject, cancel).map_err(model::Error::from)?);
        }
        Ok(attempts)
    }

    fn attempt(
        &mut self,
        changed: Vec<Convention>,
        subject: &Subject<'_>,
        cancel: &Cancel,
    ) -> Result<Option<Attempt>, Cancelled> {
        cancel.check()?;
        let mut way = Wiring { site: self.site, center: self.center, bos: self.bos };
        let mut sae = subject.sae.clone();
        for convention in &changed {
            match convention {
                Convention::Center(center) => way.center = *center,
                Convention::Bos(bos) => way.bos = *bos,
                Convention::Site(site) => way.site = *site,
                _ => {}
            }
            let Ok(made) = convention.change(&sae, self.value_bias.as_deref()) else { return Ok(None) };
            sae = made;
        }
        if !self.model.site_size(way.site).is_ok_and(|size| size == sae.d_in()) {
            return Ok(None);
        }
        let read = self.sample(way, cancel, &|_| ()).ok().and_then(|sample| read(&sae, &sample, cancel).ok());
        cancel.check()?;
        let Some(Reading { figures: measured, .. }) = read else { return Ok(None) };
        let (verdict, _) = judge(&measured, &subject.expected, sae.d_in(), sae.width());
        let each = |say: fn(&Convention) -> String| changed.iter().map(say).collect::<Vec<_>>();
        let trial = Trial {
            convention: each(|one| one.name().to_owned()).join("+"),
            said: said(&changed),
            remedy: each(Convention::remedy).join(", and "),
            distance: distance(&measured, &subject.expected),
            fits: verdict != Verdict::Off,
            measured,
        };
        Ok(Some(Attempt { trial, changed }))
    }
}

/// What is changed, in a few words.
fn said(changed: &[Convention]) -> String {
    changed.iter().map(Convention::said).collect::<Vec<_>>().join(", ")
}

/// Two conventions of different kinds together. Thresholds are not part of it, nor what forces L0: they bring any figures
/// somewhere near, and chance is not to be given so many goes.
fn pairs(all: &[Convention]) -> Vec<Vec<Convention>> {
    let mut sites = 0;
    let kinds: Vec<&Convention> = all
        .iter()
        .filter(|one| match one {
            Convention::Threshold(_) | Convention::Relu | Convention::TopK(_) => false,
            Convention::Site(_) => {
                sites += 1;
                sites == 1
            }
            _ => true,
        })
        .collect();
    let mut pairs = Vec::new();
    for (at, first) in kinds.iter().enumerate() {
        let others = kinds[at + 1..].iter().filter(|other| other.name() != first.name());
        pairs.extend(others.map(|other| vec![(*first).clone(), (*other).clone()]));
    }
    pairs
}

#[cfg(test)]
mod tests {
    use crate::sae::Normalisation;
    use crate::site::{Site, SiteKind};

    use super::*;

    #[test]
    fn pairs_are_of_different_kinds_and_each_is_there_once() {
        let site = |layer| Convention::Site(Site { layer, kind: SiteKind::ResidPre });
        let (center, b_dec) = (Convention::Center(true), Convention::BDec(false));
        let norms = [Normalisation::ConstantNorm, Normalisation::LayerNorm].map(Convention::Norm);
        let [one, other] = norms.clone();
        let all = [center.clone(), b_dec.clone(), one, other, Convention::Relu, Convention::TopK(3), site(1), site(2)];
        let got = pairs(&all);
        // Center with four, b_dec with three, each norm with the site.
        assert_eq!(got.len(), 4 + 3 + 2, "{got:?}");
        assert_eq!(got[0], [center, b_dec]);
        assert!(got.iter().all(|pair| pair[0].name() != pair[1].name()));
    }
}
