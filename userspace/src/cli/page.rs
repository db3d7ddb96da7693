//! The HTML page as a file.

use std::path::Path;

use model::session::Session;
use views::{
    export::html,
    files::{self, OutputFile},
    report,
};

use super::failure::Failure;

/// A file that a page is to be written to.
pub struct Page(OutputFile);

impl Page {
    /// Creates the file.
    pub fn create(path: &Path) -> Result<Self, Failure> {
        if path.as_os_str() == "-" {
            return Err(Failure::usage(
                "cannot write a page to standard output: the report goes there; name a file",
            ));
        }
        files::create(path).map(Self).map_err(Failure::usage)
    }

    /// Writes the page of a session.
    pub fn write(self, session: &Session) -> Result<(), Failure> {
        let page = html::session(session, &report::findings(session)).map_err(|cause| {
            Failure::usage(format!("cannot write the page: {cause}; leave --html out and read the report"))
        })?;
        self.put(&page)
    }

    /// Writes a page that is there already.
    pub fn put(mut self, page: &str) -> Result<(), Failure> {
        self.0.put(page.as_bytes()).map_err(Failure::usage)
    }
}
