//! Metrics as CloudWatch reads them out of a log: lines of its Embedded Metric Format.
//!
//! The numbers are those of `/metrics`, read from the same text, so that both always say the same. What CloudWatch wants as a rate is the difference to
//! the interval before. Every distinct set of dimensions is a metric that AWS charges for: only labels that are closed sets become dimensions, and what has
//! not moved is not sent.

use serde_json::{Map, Number, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::time::{SystemTime, UNIX_EPOCH};

/// `[metrics]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whether metrics go to standard output as lines of the Embedded Metric Format.
    pub emf: bool,
}

/// The namespace in CloudWatch.
const NAMESPACE: &str = "Countersign";
/// Who sends, the dimension that every metric has.
const WORKLOAD: &str = "workload";
/// Labels whose values the operator writes: their series are added up.
const OPEN_LABELS: [&str; 3] = ["upstream", "rule", "candidate_rule"];
/// Series that say something by their labels and count nothing.
const INFO: &str = "_info";
/// The most metrics of one line (specification, "MetricDirective object").
const METRICS: usize = 100;
/// The most bytes of one line. CloudWatch takes 256 KB, but Docker, and with it the log driver of ECS, cuts a line after 16 KiB.
const LINE: usize = 15 << 10;
/// The most bytes of the workload's own labels; longer ones are left out.
const LABELS: usize = 4 << 10;
/// The most characters of a dimension's value (`Dimension` of the CloudWatch API).
const DIMENSION: usize = 1_024;

/// What was sent so far, and the parts that all lines share.
pub struct Emf {
    workload: String,
    labels: Value,
    sent: HashMap<String, f64>,
}

/// What happened since the lines that were sent last.
pub struct Interval {
    /// Each a whole line of JSON without its newline, which begins with `{"_aws":`.
    pub lines: Vec<String>,
    counts: HashMap<String, f64>,
}

impl Emf {
    /// Nothing is sent yet by `workload`, whose `labels` each line says.
    pub fn new(workload: &str, labels: &BTreeMap<String, String>) -> Self {
        let workload = workload.get(..workload.floor_char_boundary(DIMENSION)).unwrap_or_default().to_owned();
        let labels = Some(json!(labels)).filter(|json| !labels.is_empty() && json.to_string().len() <= LABELS);
        Self { workload, labels: labels.unwrap_or_default(), sent: HashMap::new() }
    }

    /// The lines for what `exposition`, the text of `/metrics`, says more than what was sent.
    pub fn interval(&self, exposition: &str, at: SystemTime) -> Interval {
        let (mut groups, mut counts) = (Groups::default(), HashMap::new());
        let mut kind = "";
        for line in exposition.lines() {
            if let Some((_, declared)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
                kind = declared;
            } else if let Some(sample) = Sample::read(line) {
                let value = if kind == "gauge" {
                    sample.value
                } else {
                    counts.insert(sample.series.to_owned(), sample.value);
                    sample.value - self.sent.get(sample.series).copied().unwrap_or_default()
                };
                groups.add(kind, sample, value);
            }
        }
        let millis = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let lines = groups.0.into_iter().flat_map(|(dimensions, metrics)| self.lines(millis, &dimensions, metrics)).collect();
        Interval { lines, counts }
    }

    /// The lines of `interval` are out: the next one begins where it ended.
    pub fn sent(&mut self, interval: Interval) {
        self.sent = interval.counts;
    }

    /// As many lines as the limits ask for.
    fn lines(&self, millis: u64, dimensions: &Dimensions, metrics: BTreeMap<String, Measure>) -> Vec<String> {
        let mut lines = Vec::new();
        let (mut part, mut length) = (Map::new(), 0);
        for (name, value) in metrics.into_iter().filter_map(|(name, measure)| Some((name, measure.value()?))) {
            // The name stands there twice, the second time with its unit.
            let more = 2 * name.len() + value.to_string().len() + 40;
            if part.len() == METRICS || (length + more > LINE && !part.is_empty()) {
                lines.push(self.line(millis, dimensions, std::mem::take(&mut part)));
                length = 0;
            }
            length += more;
            part.insert(name, value);
        }
        if !part.is_empty() {
            lines.push(self.line(millis, dimensions, part));
        }
        lines
    }

    fn line(&self, millis: u64, dimensions: &Dimensions, metrics: Map<String, Value>) -> String {
        let definitions: Vec<Value> = metrics.keys().map(|name| json!({ "Name": name, "Unit": unit(name) })).collect();
        let names: Vec<&str> = std::iter::once(WORKLOAD).chain(dimensions.iter().map(|(name, _)| name.as_str())).collect();
        let directive = json!({ "Namespace": NAMESPACE, "Dimensions": [names], "Metrics": definitions });
        let mut root = Map::new();
        root.insert("_aws".into(), json!({ "Timestamp": millis, "CloudWatchMetrics": [directive] }));
        root.insert(WORKLOAD.into(), self.workload.as_str().into());
        root.extend(dimensions.iter().map(|(name, value)| (name.clone(), value.as_str().into())));
        root.extend(metrics);
        if !self.labels.is_null() {
            root.insert("labels".into(), self.labels.clone());
        }
        Value::Object(root).to_string()
    }
}

/// Names and values of the labels that are dimensions, in the order of the text.
type Dimensions = Vec<(String, String)>;

/// What belongs into one line: all that has the same dimensions.
#[derive(Default)]
struct Groups(BTreeMap<Dimensions, BTreeMap<String, Measure>>);

impl Groups {
    fn add(&mut self, kind: &str, sample: Sample<'_>, value: f64) {
        let Sample { name, labels, .. } = sample;
        if name.ends_with(INFO) {
            return;
        }
        let (le, dimensions) = labels
            .into_iter()
            .filter(|(name, _)| !OPEN_LABELS.contains(&name.as_str()))
            .partition::<Dimensions, _>(|(name, _)| name == "le");
        let metrics = self.0.entry(dimensions).or_default();
        if kind != "histogram" {
            let measure = metrics.entry(name.to_owned()).or_insert(Measure::Number { value: 0.0, counts: kind == "counter" });
            return measure.add(None, value);
        }
        let Some((name, part)) = name.rsplit_once('_') else { return };
        let histogram = metrics.entry(name.to_owned()).or_insert(Measure::Histogram { buckets: Vec::new(), sum: 0.0 });
        match part {
            "bucket" => histogram.add(le.first().and_then(|(_, bound)| bound.parse().ok()), value),
            "sum" => histogram.add(None, value),
            _ => {}
        }
    }
}

/// One metric of one set of dimensions.
enum Measure {
    Number {
        value: f64,
        counts: bool,
    },
    /// Upper bounds, each with how many were no greater.
    Histogram {
        buckets: Vec<(f64, f64)>,
        sum: f64,
    },
}

impl Measure {
    /// Adds a series to those before: a bucket's with its bound.
    fn add(&mut self, bound: Option<f64>, more: f64) {
        match (self, bound) {
            (Self::Number { value, .. }, _) => *value += more,
            (Self::Histogram { sum, .. }, None) => *sum += more,
            (Self::Histogram { buckets, .. }, Some(bound)) => match buckets.iter_mut().find(|(known, _)| *known == bound) {
                Some((_, count)) => *count += more,
                None => buckets.push((bound, more)),
            },
        }
    }

    /// `None`: nothing has happened.
    fn value(self) -> Option<Value> {
        match self {
            Self::Number { value, counts } => number(value).filter(|_| !counts || value > 0.0).map(Value::Number),
            Self::Histogram { buckets, sum } => distribution(&buckets, sum),
        }
    }
}

/// The distribution as CloudWatch's own agents write it. What lies in a bucket counts as its upper bound, beyond the last as twice that; the sum is exact.
fn distribution(buckets: &[(f64, f64)], sum: f64) -> Option<Value> {
    let (mut lower, mut below) = (0.0, 0.0);
    let (mut values, mut counts, mut least) = (Vec::new(), Vec::new(), None);
    for (bound, up_to) in buckets {
        let upper = if bound.is_finite() { *bound } else { lower * 2.0 };
        if *up_to > below {
            least.get_or_insert(lower);
            values.push(upper);
            counts.push(up_to - below);
        }
        (lower, below) = (upper, *up_to);
    }
    let (least, most) = (least?, values.last().copied()?);
    Some(json!({ "Values": values, "Counts": counts, "Min": least, "Max": most, "Count": below, "Sum": sum }))
}

/// A whole number as such; `None` for what JSON cannot say.
fn number(value: f64) -> Option<Number> {
    /// Whole numbers up to this are exact.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT { Some((value as i64).into()) } else { Number::from_f64(value) }
}

fn unit(name: &str) -> &'static str {
    match name {
        _ if name.ends_with("_seconds") => "Seconds",
        _ if name.ends_with("_bytes") => "Bytes",
        _ => "Count",
    }
}

/// One line of the text format: `name{label="value",…} number`.
struct Sample<'t> {
    series: &'t str,
    name: &'t str,
    labels: Dimensions,
    value: f64,
}

impl<'t> Sample<'t> {
    fn read(line: &'t str) -> Option<Self> {
        if line.starts_with('#') {
            return None;
        }
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = match series.split_once('{') {
            Some((name, rest)) => (name, labels(rest.strip_suffix('}')?)?),
            None => (series, Dimensions::new()),
        };
        Some(Self { series, name, labels, value: value.parse().ok()? })
    }
}

/// `label="value",…`, where a value has `\\`, `\"` and `\n` for what they stand for.
fn labels(mut text: &str) -> Option<Dimensions> {
    let mut found = Dimensions::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"")?;
        let mut value = String::new();
        let mut letters = rest.char_indices();
        let end = loop {
            match letters.next()? {
                (at, '"') => break at,
                (_, '\\') => value.push(match letters.next()?.1 {
                    'n' => '\n',
                    letter => letter,
                }),
                (_, letter) => value.push(letter),
            }
        };
        found.push((name.to_owned(), value));
        text = rest.get(end + 1..)?;
        text = text.strip_prefix(',').unwrap_or(text);
    }
    Some(found)
}

#[cfg(test)]
#[path = "emf_tests.rs"]
mod tests;
