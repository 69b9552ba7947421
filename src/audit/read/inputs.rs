//! From what a user gives to files in order.

use super::{ReadError, Reader};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// What a log's files end with.
const PLAIN: &str = ".ndjson";
/// What is added to the name of a compressed one.
const COMPRESSED: &str = ".zst";

/// One stream of lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Where it comes from.
    pub place: Place,
    /// Its size when it was listed, bytes as they lie there; `None` where that is not known.
    pub size: Option<u64>,
}

/// Where a stream of lines comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Standard input.
    Stdin,
    /// A file, plain or compressed.
    File(PathBuf),
}

/// The inputs for what was given: a file as itself, a directory as its `*.ndjson` and `*.ndjson.zst` by name, which begins with their time, and `-` as standard
/// input. No file comes twice; of one that is there in both forms the plain one is read, since it goes when the other one is complete.
///
/// # Errors
/// Something is not there, or a directory has nothing to read.
pub fn inputs(given: &[PathBuf]) -> Result<Vec<Input>, ReadError> {
    let mut inputs = Vec::new();
    for path in given {
        if path == Path::new("-") {
            inputs.push(Input { place: Place::Stdin, size: None });
        } else if metadata(path)?.is_dir() {
            inputs.extend(of_directory(path)?);
        } else {
            inputs.push(of_file(path.clone())?);
        }
    }
    let mut seen = HashSet::new();
    inputs.retain(|input| seen.insert(input.plain_name()));
    Ok(inputs)
}

fn of_directory(directory: &Path) -> Result<Vec<Input>, ReadError> {
    let open = |error| ReadError::Open { name: directory.display().to_string(), error };
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(open)? {
        let name = entry.map_err(open)?.file_name();
        // What is being written has a name with a dot before it.
        names.extend(name.to_str().filter(|name| is_log(name) && !name.starts_with('.')).map(str::to_owned));
    }
    // A plain name is the beginning of its compressed one, so it comes first and is the one that stays.
    names.sort();
    if names.is_empty() {
        return Err(ReadError::Empty { name: directory.display().to_string() });
    }
    // What is pruned meanwhile is no error; it says so when it is opened.
    Ok(names.into_iter().map(|name| directory.join(name)).map(|path| of_file(path.clone()).unwrap_or_else(|_| unknown(path))).collect())
}

fn is_log(name: &str) -> bool {
    name.strip_suffix(COMPRESSED).unwrap_or(name).ends_with(PLAIN)
}

fn of_file(path: PathBuf) -> Result<Input, ReadError> {
    let metadata = metadata(&path)?;
    Ok(Input { size: metadata.is_file().then_some(metadata.len()), ..unknown(path) })
}

fn unknown(path: PathBuf) -> Input {
    Input { place: Place::File(path), size: None }
}

fn metadata(path: &Path) -> Result<fs::Metadata, ReadError> {
    fs::metadata(path).map_err(|error| ReadError::Open { name: path.display().to_string(), error })
}

impl Input {
    /// What messages call it.
    pub fn name(&self) -> String {
        match &self.place {
            Place::Stdin => "standard input".to_owned(),
            Place::File(path) => path.display().to_string(),
        }
    }

    /// Opens it at its beginning. A plain file that was compressed since it was listed is found under its new name.
    ///
    /// # Errors
    /// It is gone, or not for this user.
    pub fn open(&self) -> Result<Reader, ReadError> {
        let failed = |error| ReadError::Open { name: self.name(), error };
        let stream: Box<dyn Read + Send> = match &self.place {
            Place::Stdin => Box::new(io::stdin()),
            Place::File(path) => match File::open(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => Box::new(File::open(compressed(path)).map_err(|_| failed(error))?),
                opened => Box::new(opened.map_err(failed)?),
            },
        };
        Reader::new(self.name(), stream)
    }

    /// Whether this file of a directory was begun after the other one: their names begin with their time.
    pub fn comes_after(&self, other: &Self) -> bool {
        self.plain_name().file_name() > other.plain_name().file_name()
    }

    /// The same for both forms of a file.
    fn plain_name(&self) -> PathBuf {
        match &self.place {
            Place::Stdin => PathBuf::from("-"),
            Place::File(path) => match path.to_str().and_then(|name| name.strip_suffix(COMPRESSED)) {
                Some(plain) => PathBuf::from(plain),
                None => path.clone(),
            },
        }
    }
}

fn compressed(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(COMPRESSED);
    name.into()
}
