//! Requests over time, as SVG.

use countersign::testing::fleet::Minute;
use std::fmt::Write as _;

/// One scenario's part of the picture.
pub struct Panel {
    /// What happens.
    pub title: String,
    /// The minutes that are drawn.
    pub minutes: Vec<Minute>,
}

const WIDTH: f64 = 860.0;
const LEFT: f64 = 50.0;
const HEIGHT: f64 = 110.0;
const EACH: f64 = 160.0;
const TOP: f64 = 50.0;

/// Requests a second at the upper edge; what is above is cut off, and said.
const EDGE: f64 = 40.0;

/// The most columns of a panel.
const COLUMNS: usize = 180;

/// What is stacked, from below: its colour, its name, and how many of a minute's requests it is.
type Kind = (&'static str, &'static str, fn(&Minute) -> u32);
const KINDS: [Kind; 3] = [
    ("#2a7f62", "issued", |minute| minute.issued),
    ("#e09f3e", "throttled", |minute| minute.throttled),
    ("#9e2a2b", "failed in the outage", |minute| minute.failed),
];

/// Draws the panels below each other; `rate` is what the authority issues, a second.
pub fn draw(panels: &[Panel], rate: f64) -> String {
    let height = TOP + EACH * panels.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        LEFT + WIDTH + 20.0
    );
    let mut x = LEFT;
    for (colour, name, _) in KINDS {
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"12\" width=\"12\" height=\"12\" fill=\"{colour}\"/><text x=\"{}\" y=\"22\">{name}</text>",
            x + 17.0
        );
        x += 40.0 + 8.0 * name.len() as f64;
    }
    let _ = writeln!(svg, "<text x=\"{x}\" y=\"22\">requests a second; dashed: the {rate} that are issued at most</text>");
    for (at, panel) in panels.iter().enumerate() {
        one(&mut svg, panel, TOP + EACH * at as f64, rate);
    }
    svg.push_str("</svg>\n");
    svg
}

fn one(svg: &mut String, panel: &Panel, top: f64, rate: f64) {
    let bottom = top + 15.0 + HEIGHT;
    let y = |requests: f64| bottom - HEIGHT * requests.min(EDGE) / EDGE;
    let per_column = panel.minutes.len().div_ceil(COLUMNS).max(1);
    let columns: Vec<&[Minute]> = panel.minutes.chunks(per_column).collect();
    let width = WIDTH / columns.len().max(1) as f64;
    let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"{}\" font-weight=\"bold\">{}</text>", top + 8.0, panel.title.replace('"', "&quot;"));
    let mut below = vec![0.0; columns.len()];
    for (colour, _, count) in KINDS {
        let mut path = String::new();
        for (at, (column, below)) in columns.iter().zip(&mut below).enumerate() {
            let requests = column.iter().map(|minute| f64::from(count(minute))).sum::<f64>() / (column.len() as f64 * 60.0);
            let (from, to) = (y(*below), y(*below + requests));
            if from - to > 0.05 {
                let _ = write!(path, "M{:.1} {from:.1}V{to:.1}h{width:.2}V{from:.1}z", LEFT + width * at as f64);
            }
            *below += requests;
        }
        if !path.is_empty() {
            let _ = writeln!(svg, "<path fill=\"{colour}\" d=\"{path}\"/>");
        }
    }
    let highest = below.iter().copied().fold(0.0, f64::max);
    if highest > EDGE {
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{}\">cut off: {highest:.0} a second at first</text>", LEFT + 12.0, top + 27.0);
    }
    axes(svg, panel.minutes.len(), bottom, y(rate));
}

fn axes(svg: &mut String, minutes: usize, bottom: f64, rate: f64) {
    let right = LEFT + WIDTH;
    let _ = writeln!(
        svg,
        "<path stroke=\"black\" fill=\"none\" d=\"M{LEFT} {}V{bottom}H{right}\"/>\
         <path stroke=\"black\" stroke-dasharray=\"4 4\" fill=\"none\" d=\"M{LEFT} {rate:.1}H{right}\"/>\
         <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">25</text><text x=\"{}\" y=\"{bottom}\" text-anchor=\"end\">0</text>",
        bottom - HEIGHT,
        LEFT - 6.0,
        rate + 4.0,
        LEFT - 6.0
    );
    let hours = minutes / 60;
    let step = hours.div_ceil(12).max(1);
    for hour in (0..=hours).step_by(step) {
        let x = LEFT + WIDTH * hour as f64 / hours.max(1) as f64;
        let _ = writeln!(svg, "<text x=\"{x:.0}\" y=\"{}\" text-anchor=\"middle\">{hour} h</text>", bottom + 14.0);
    }
}
