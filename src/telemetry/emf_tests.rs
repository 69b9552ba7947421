use super::*;
use crate::telemetry::metrics::{self, DURATION, ENDPOINTS, REQUESTS};
use ::metrics::{counter, gauge, histogram, with_local_recorder};
use metrics_exporter_prometheus::PrometheusBuilder;
use proptest::prelude::*;
use std::time::Duration;

const WHO: &str = "spiffe://prod.example/ns/shop/sa/orders";

fn at() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1_774_109_732_004)
}

fn emf() -> Emf {
    Emf::new(WHO, &[("task".to_owned(), "a\"1".to_owned())].into())
}

/// Sends what the text says more than before.
fn send(emf: &mut Emf, exposition: &str) -> Vec<Value> {
    let interval = emf.interval(exposition, at());
    let lines = interval.lines.iter().map(|line| valid(line)).collect();
    emf.sent(interval);
    lines
}

/// Checks a line by the specification's rules, and gives it.
fn valid(line: &str) -> Value {
    assert!(line.len() <= 16 << 10 && !line.contains('\n') && line.starts_with(r#"{"_aws":{"#), "{line}");
    let root: Value = serde_json::from_str(line).unwrap();
    let aws = root["_aws"].as_object().unwrap();
    assert!(aws.len() == 2 && aws["Timestamp"].is_u64(), "{line}");
    for directive in aws["CloudWatchMetrics"].as_array().unwrap() {
        let directive = directive.as_object().unwrap();
        assert!(directive.len() == 3 && (1..=255).contains(&directive["Namespace"].as_str().unwrap().len()), "{line}");
        for set in directive["Dimensions"].as_array().unwrap() {
            let names = set.as_array().unwrap();
            assert!(names.len() <= 9, "the schema's limit, lower than the text's 30: {line}");
            for name in names {
                let value = root[name.as_str().unwrap()].as_str().expect("a dimension is a string of the root");
                assert!((1..=1_024).contains(&value.len()) && value.is_ascii(), "{line}");
            }
        }
        let metrics = directive["Metrics"].as_array().unwrap();
        assert!((1..=100).contains(&metrics.len()), "{line}");
        for metric in metrics {
            assert!(["Seconds", "Bytes", "Count"].contains(&metric["Unit"].as_str().unwrap()), "{line}");
            match &root[metric["Name"].as_str().unwrap()] {
                Value::Number(_) => {}
                distribution => {
                    let list =
                        |name: &str| distribution[name].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect::<Vec<_>>();
                    let (values, counts) = (list("Values"), list("Counts"));
                    assert!(values.len() == counts.len() && (1..=100).contains(&values.len()), "{line}");
                    assert_eq!(counts.iter().sum::<f64>(), distribution["Count"].as_f64().unwrap(), "{line}");
                    assert!(distribution["Min"].as_f64() <= distribution["Max"].as_f64() && distribution["Sum"].is_number(), "{line}");
                }
            }
        }
    }
    root
}

/// The value of a metric in the line with these dimensions.
fn value<'l>(lines: &'l [Value], name: &str, dimensions: &[(&str, &str)]) -> Option<&'l Value> {
    let line = lines.iter().find(|line| line.get(name).is_some() && dimensions.iter().all(|(name, value)| line[*name] == *value))?;
    line.get(name)
}

#[test]
fn an_interval_says_what_is_new() {
    let recorder = PrometheusBuilder::new().set_buckets(&[0.001, 0.1]).unwrap().build_recorder();
    let handle = recorder.handle();
    with_local_recorder(&recorder, || {
        metrics::describe();
        let mut emf = emf();
        let allowed = counter!(REQUESTS, "direction" => "inbound", "decision" => "allow");
        let denied = counter!(REQUESTS, "direction" => "inbound", "decision" => "deny");
        let duration = histogram!(DURATION, "direction" => "inbound");
        metrics::endpoints("payments").set(2.0);
        metrics::endpoints("stock").set(3.0);
        metrics::crypto_module("1", false);
        allowed.increment(7);
        denied.increment(1);
        [0.0005, 0.0005, 0.02, 7.0].into_iter().for_each(|seconds| duration.record(seconds));

        let first = send(&mut emf, &handle.render());
        let inbound = |decision| [("direction", "inbound"), ("decision", decision), (WORKLOAD, WHO)];
        assert_eq!(value(&first, REQUESTS, &inbound("allow")).unwrap(), 7);
        assert_eq!(value(&first, REQUESTS, &inbound("deny")).unwrap(), 1);
        assert_eq!(value(&first, ENDPOINTS, &[]).unwrap(), 5, "a label that is no closed set is no dimension");
        let shown = value(&first, DURATION, &[("direction", "inbound")]).unwrap();
        assert_eq!((&shown["Values"], &shown["Counts"]), (&json!([0.001, 0.1, 0.2]), &json!([2.0, 1.0, 1.0])));
        assert!((shown["Sum"].as_f64().unwrap() - 7.021).abs() < 1e-9 && shown["Min"] == 0.0 && shown["Max"] == 0.2, "{shown}");
        assert!(first.iter().all(|line| line["labels"]["task"] == "a\"1" && line["_aws"]["Timestamp"] == 1_774_109_732_004_u64));
        assert!(!first.iter().any(|line| line.to_string().contains("_info")));

        denied.increment(2);
        duration.record(0.05);
        let second = send(&mut emf, &handle.render());
        assert_eq!(value(&second, REQUESTS, &inbound("allow")), None, "what has not moved is not sent");
        assert_eq!(value(&second, REQUESTS, &inbound("deny")).unwrap(), 2);
        assert_eq!(value(&second, DURATION, &[]).unwrap()["Counts"], json!([1.0]));
        assert_eq!(value(&second, ENDPOINTS, &[]).unwrap(), 5);
    });
}

#[test]
fn what_was_not_sent_is_in_the_next_lines() {
    let mut emf = emf();
    let text = |number: u32| format!("# TYPE a_total counter\na_total {number}\n");
    emf.interval(&text(3), at());
    assert_eq!(send(&mut emf, &text(5))[0]["a_total"], 5);
    assert!(send(&mut emf, &text(5)).is_empty());
}

#[test]
fn lines_keep_to_their_limits() {
    let mut text = String::new();
    for number in 0..450 {
        text += &format!("# TYPE {}_{number}_total counter\nx_{number}_total{{result=\"ok\"}} 1\n", "x");
    }
    let lines = send(&mut emf(), &text);
    let metrics: usize = lines.iter().map(|line| line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap().len()).sum();
    assert!(metrics == 450 && lines.len() >= 5, "{}", lines.len());

    let long = Emf::new(&format!("spiffe://prod.example/{}", "x".repeat(2_000)), &[("l".to_owned(), "y".repeat(5_000))].into());
    let line = valid(&long.interval("# TYPE a gauge\na 1\n", at()).lines[0]);
    assert!(line.get("labels").is_none() && line[WORKLOAD].as_str().unwrap().len() == 1_024);
}

proptest! {
    /// Whatever is counted when, the lines add up to it.
    #[test]
    fn the_lines_add_up_to_the_counters(steps in proptest::collection::vec((0_usize..3, 0_u64..50, any::<bool>()), 1..40)) {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let results = ["ok", "fai\"led", "back\\slash\n"];
        with_local_recorder(&recorder, || {
            let mut emf = emf();
            let (mut sums, mut counted) = ([0; 3], [0; 3]);
            let mut read = |emf: &mut Emf| {
                for line in send(emf, &handle.render()) {
                    let at = results.iter().position(|result| line["result"] == *result).unwrap();
                    sums[at] += line["x_total"].as_u64().unwrap();
                }
                sums
            };
            for (which, number, sends) in steps {
                counter!("x_total", "result" => results[which]).increment(number);
                counted[which] += number;
                if sends {
                    read(&mut emf);
                }
            }
            gauge!("y").set(f64::NAN);
            prop_assert_eq!(read(&mut emf), counted);
            Ok(())
        })?;
    }
}
