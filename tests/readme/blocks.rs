//! The fenced blocks of a Markdown text.

/// One block that means something here.
#[derive(Debug)]
pub enum Block {
    /// ```` ```toml NAME ````, or yaml: a file.
    File { name: String, text: String },
    /// ```` ```sh ````: commands that must succeed.
    Commands(Vec<String>),
    /// ```` ```console ````: commands after `$ `, each with its output.
    Console(Vec<(String, Vec<String>)>),
    /// ```` ```json NAME ````: lines that a file must come to hold, in this order.
    Records { name: String, lines: Vec<String> },
}

/// All of them, in order. A kind that is not known is a mistake.
pub fn blocks(text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let body: Vec<String> = lines.by_ref().take_while(|line| *line != "```").map(str::to_owned).collect();
        match info.split_once(' ').unwrap_or((info, "")) {
            ("toml" | "yaml", name) if !name.is_empty() => found.push(Block::File { name: name.into(), text: body.join("\n") + "\n" }),
            ("json", name) if !name.is_empty() => found.push(Block::Records { name: name.into(), lines: body }),
            ("sh", "") => found.push(Block::Commands(body)),
            ("console", "") => found.push(Block::Console(console(body))),
            ("text" | "toml" | "yaml", "") => {}
            other => panic!("what is {other:?}?"),
        }
    }
    found
}

fn console(body: Vec<String>) -> Vec<(String, Vec<String>)> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for line in body {
        match (line.strip_prefix("$ "), found.last_mut()) {
            (Some(command), _) => found.push((command.to_owned(), Vec::new())),
            (None, Some((_, output))) => output.push(line),
            (None, None) => panic!("output before a command: {line}"),
        }
    }
    found
}
