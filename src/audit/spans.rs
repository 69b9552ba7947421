//! Spans of traced requests, made from their records on the writer's thread.

#[cfg(feature = "otlp")]
mod made {
    use crate::audit::entry::{Entry, What};
    use crate::audit::{Decision, Direction, Phase};
    use crate::policy::Verdict;
    use crate::request::CanonicalRequest;
    use crate::telemetry::otlp::Queue;
    use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
    use opentelemetry::{InstrumentationScope, KeyValue, StringValue, Value};
    use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
    use std::borrow::Cow;
    use std::sync::OnceLock;
    use std::time::Duration;

    /// Methods that a span may name (HTTP semantic conventions, `http.request.method`).
    const METHODS: [&str; 10] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"];

    /// Where spans go, once somebody has said so.
    #[derive(Default)]
    pub struct Spans(OnceLock<Queue>);

    impl Spans {
        pub(in crate::audit) fn go_to(&self, queue: Queue) {
            let _ = self.0.set(queue);
        }

        /// Makes the span of a request that has ended and whose caller keeps its own.
        pub(in crate::audit) fn note(&self, entry: &Entry) {
            if let (Some(queue), What::Decision(decision)) = (self.0.get(), &entry.what)
                && let Some(span) = span(decision)
            {
                queue.leave(span);
            }
        }
    }

    fn span(decision: &Decision) -> Option<SpanData> {
        let request = decision.request.as_ref()?;
        let parent = request.trace.context().filter(|parent| parent.is_sampled())?;
        if decision.outcome.phase == Some(Phase::Open) {
            return None;
        }
        let span_id = SpanId::from_bytes(decision.id.span_id());
        let trace_id = TraceId::from_bytes(*parent.trace_id());
        Some(SpanData {
            span_context: SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, false, TraceState::NONE),
            parent_span_id: SpanId::from_bytes(*parent.parent_id()),
            parent_span_is_remote: true,
            span_kind: if decision.direction == Direction::Inbound { SpanKind::Server } else { SpanKind::Client },
            name: name(decision, request),
            start_time: decision.at,
            end_time: decision.at.checked_add(Duration::from_micros(decision.outcome.total_us)).unwrap_or(decision.at),
            attributes: attributes(decision, request),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: status(decision),
            instrumentation_scope: InstrumentationScope::builder("countersign").with_version(env!("CARGO_PKG_VERSION")).build(),
        })
    }

    fn method(request: &CanonicalRequest) -> &'static str {
        METHODS.into_iter().find(|known| *known == request.method.as_str()).unwrap_or("_OTHER")
    }

    /// The method and the pattern that decided: few distinct names, whatever paths there are.
    fn name(decision: &Decision, request: &CanonicalRequest) -> Cow<'static, str> {
        let method = Some(method(request)).filter(|method| *method != "_OTHER").unwrap_or("HTTP");
        match decision.facts.template() {
            Some(template) => format!("{method} {template}").into(),
            None => method.into(),
        }
    }

    /// What the HTTP semantic conventions name, and the decision. No query, and no header's value.
    fn attributes(decision: &Decision, request: &CanonicalRequest) -> Vec<KeyValue> {
        let (facts, outcome, inbound) = (&decision.facts, &decision.outcome, decision.direction == Direction::Inbound);
        let mut found = Vec::with_capacity(20);
        let mut add = |name: &'static str, value: Value| found.push(KeyValue::new(name, value));
        add("http.request.method", method(request).into());
        add("url.scheme", "https".into());
        add("url.path", text(request.path()));
        add("network.protocol.name", "http".into());
        if !request.host().is_empty() {
            add("server.address", text(request.host()));
        }
        if let Some(template) = facts.template() {
            add("http.route", text(template));
        }
        if outcome.status != 0 {
            add("http.response.status_code", i64::from(outcome.status).into());
        }
        if let Some(reason) = failure(decision) {
            add("error.type", text(&reason));
        }
        if inbound {
            add("client.address", text(&decision.caller.source.ip().to_canonical().to_string()));
        }
        let peer = match decision.target.as_deref() {
            Some(target) if !inbound => target.id.as_deref(),
            _ => decision.caller.identity.as_ref().map(|identity| identity.principal.as_str()),
        };
        if let Some(peer) = peer {
            add("countersign.peer", text(peer));
        }
        add("countersign.id", text(&decision.id.to_string()));
        add("countersign.decision", decision.verdict.as_str().into());
        add("countersign.reason", text(&facts.reason.text()));
        if let Some(rule) = &facts.rule {
            add("countersign.rule", text(&rule.id));
        }
        found
    }

    fn text(text: &str) -> Value {
        StringValue::from(text.to_owned()).into()
    }

    /// Why the request did not end well: on the side that answers only 5xx are its own fault, on the side that asks 4xx as well.
    fn failure(decision: &Decision) -> Option<Cow<'_, str>> {
        let status = decision.outcome.status;
        let least = if decision.direction == Direction::Inbound { 500 } else { 400 };
        match decision.outcome.close_reason {
            Some(reason) => Some(reason.into()),
            None if decision.verdict == Verdict::Deny => Some(decision.facts.reason.text()),
            None if status >= least => Some(status.to_string().into()),
            None => None,
        }
    }

    fn status(decision: &Decision) -> Status {
        match failure(decision) {
            // A denial is the sidecar's work well done.
            Some(_) if decision.verdict == Verdict::Deny && decision.direction == Direction::Inbound => Status::Unset,
            Some(reason) => Status::error(reason.into_owned()),
            None => Status::Unset,
        }
    }
}

#[cfg(not(feature = "otlp"))]
mod made {
    use crate::audit::entry::Entry;

    /// This build makes none.
    #[derive(Default)]
    pub struct Spans(());

    impl Spans {
        pub(in crate::audit) fn note(&self, _: &Entry) {}
    }
}

pub(super) use made::Spans;
