//! The comparison inside the emulated machine of benches/emulated: one core for everybody, whose clock counts instructions.

use crate::load;
use crate::measure::{Callers, Method, Program, Work, count};
use crate::rounds::Figures;

/// Asked for by `COMPARE_NANOSECONDS`: how long an instruction takes here.
///
/// # Errors
/// It is no number that a clock could have.
pub fn method() -> anyhow::Result<Option<Method>> {
    let nanoseconds = u32::try_from(load::number("COMPARE_NANOSECONDS", 0)?)?;
    Ok((nanoseconds > 0).then_some(Method::Clock { nanoseconds }))
}

/// Counts `work` on all of them, one after the other; one that does not start is named and left out.
pub async fn run(work: Work, programs: &[Program], callers: &Callers, requests: u64, nanoseconds: u32) -> Vec<Figures> {
    let mut all = Vec::new();
    for program in programs {
        eprintln!("{}: {}", work.name, program.name);
        match count::by_clock(work, program, callers, requests, nanoseconds).await {
            Ok(instructions) => {
                all.push(Figures { name: program.name.clone(), instructions: Some(instructions), ..Figures::default() });
            }
            Err(error) => eprintln!("left out: {error:#}"),
        }
    }
    all
}
