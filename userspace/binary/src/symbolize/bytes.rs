//! Files read a page at a time: of a binary of hundreds of megabytes only what is asked for comes into memory.

use std::{
    borrow::Cow,
    collections::HashMap,
    fmt,
    fs::File,
    os::unix::fs::FileExt as _,
    sync::{Arc, Mutex, PoisonError},
};

use gimli::{Error, LittleEndian, Reader, ReaderOffsetId};

const PAGE: u64 = 4096;

/// Pages that all files together keep; what falls out is read again.
const PAGES: usize = 256;

/// Longest piece that is ever copied out at once: names and the like.
const LONGEST: usize = 1 << 20;

/// Pages of all files, shared.
#[derive(Clone, Default)]
pub struct Pool(Arc<Mutex<Pages>>);

/// By file and position.
type Pages = HashMap<(usize, u64), Arc<[u8]>>;

impl Pool {
    /// A page, from here or from where `read` gets it.
    fn page(&self, key: (usize, u64), read: impl FnOnce() -> Option<Arc<[u8]>>) -> Option<Arc<[u8]>> {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(page) = pages.get(&key) {
            return Some(page.clone());
        }
        let page = read()?;
        if pages.len() >= PAGES {
            // Not the most clever choice of what to drop, but the cheapest to make.
            pages.clear();
        }
        pages.insert(key, page.clone());
        Some(page)
    }

    fn forget(&self, owner: usize) {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pages.retain(|(of, _), _| *of != owner);
    }
}

enum Source {
    File { file: File, pool: Pool },
    Memory(Arc<[u8]>),
}

/// Bytes with positions: a file, or a piece of memory.
pub struct Blob {
    source: Source,
    len: u64,
    nothing: Arc<[u8]>,
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len)
    }
}

impl Blob {
    /// A file, read through the shared pages.
    pub fn file(file: File, pool: &Pool) -> Option<Arc<Self>> {
        let len = file.metadata().ok()?.len();
        let source = Source::File { file, pool: pool.clone() };
        Some(Arc::new(Self { source, len, nothing: Arc::from([]) }))
    }

    /// Makes a view of bytes that are in memory already.
    pub fn memory(bytes: Arc<[u8]>) -> Arc<Self> {
        let len = bytes.len() as u64;
        Arc::new(Self { source: Source::Memory(bytes), len, nothing: Arc::from([]) })
    }

    /// Bytes to look at, cut to what exists.
    pub fn view(self: &Arc<Self>, offset: u64, len: u64) -> View {
        let at = offset.min(self.len);
        let end = offset.saturating_add(len).min(self.len);
        View { blob: self.clone(), page: self.nothing.clone(), page_at: 0, at, end: end.max(at) }
    }

    /// Copies bytes out; `None` unless all of them exist.
    pub fn read(&self, offset: u64, into: &mut [u8]) -> Option<()> {
        match &self.source {
            Source::File { file, .. } => file.read_exact_at(into, offset).ok(),
            Source::Memory(bytes) => {
                let start = usize::try_from(offset).ok()?;
                into.copy_from_slice(bytes.get(start..start.checked_add(into.len())?)?);
                Some(())
            }
        }
    }

    /// The page around a position, and where it begins.
    fn page(&self, position: u64) -> Option<(Arc<[u8]>, u64)> {
        match &self.source {
            Source::Memory(bytes) => Some((bytes.clone(), 0)),
            Source::File { file, pool } => {
                let start = position / PAGE * PAGE;
                let page = pool.page((self.identity(), start), || {
                    let mut page = [0; PAGE as usize];
                    let len = usize::try_from(self.len.checked_sub(start)?.min(PAGE)).ok()?;
                    file.read_exact_at(&mut page[..len], start).ok()?;
                    Some(Arc::from(&page[..len]))
                })?;
                Some((page, start))
            }
        }
    }

    /// Stays the same while it lives, as the bytes never move out of their `Arc`.
    fn identity(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }
}

impl Drop for Blob {
    fn drop(&mut self) {
        if let Source::File { pool, .. } = &self.source {
            pool.forget(self.identity());
        }
    }
}

/// A range of a blob that reads itself as it is read.
#[derive(Debug)]
pub struct View {
    blob: Arc<Blob>,
    page: Arc<[u8]>,
    page_at: u64,
    at: u64,
    end: u64,
}

impl Clone for View {
    /// Without the page: parsed debug information keeps thousands of views, and would keep a page for each.
    fn clone(&self) -> Self {
        let (blob, page) = (self.blob.clone(), self.blob.nothing.clone());
        Self { blob, page, page_at: 0, at: self.at, end: self.end }
    }
}

impl View {
    /// Rest of the page that holds the next byte, cut at the end of the view.
    fn chunk(&mut self) -> gimli::Result<&[u8]> {
        let inside = |view: &Self| (view.page_at..view.page_at + view.page.len() as u64).contains(&view.at);
        if !inside(self) {
            let page = self.blob.page(self.at);
            (self.page, self.page_at) = page.ok_or(Error::UnexpectedEof(self.offset_id()))?;
        }
        if !inside(self) {
            return Err(Error::UnexpectedEof(self.offset_id()));
        }
        let from = (self.at - self.page_at) as usize;
        let len = (self.page.len() - from).min(Reader::len(self));
        Ok(&self.page[from..from + len])
    }

    /// A text that ends with a zero, beginning so many bytes behind the start.
    pub fn text_at(&self, offset: usize) -> Option<String> {
        let mut here = self.clone();
        here.skip(offset).ok()?;
        let text = here.read_null_terminated_slice().ok()?;
        Some(text.to_string_lossy().ok()?.into_owned())
    }
}

impl Reader for View {
    type Endian = LittleEndian;
    type Offset = usize;

    fn endian(&self) -> LittleEndian {
        LittleEndian
    }

    fn len(&self) -> usize {
        (self.end - self.at) as usize
    }

    fn empty(&mut self) {
        self.end = self.at;
    }

    fn truncate(&mut self, len: usize) -> gimli::Result<()> {
        if Reader::len(self) < len {
            return Err(Error::UnexpectedEof(self.offset_id()));
        }
        self.end = self.at + len as u64;
        Ok(())
    }

    fn offset_from(&self, base: &Self) -> usize {
        self.at.wrapping_sub(base.at) as usize
    }

    fn offset_id(&self) -> ReaderOffsetId {
        ReaderOffsetId(self.at)
    }

    fn lookup_offset_id(&self, id: ReaderOffsetId) -> Option<usize> {
        (self.at..=self.end).contains(&id.0).then(|| (id.0 - self.at) as usize)
    }

    fn find(&self, byte: u8) -> gimli::Result<usize> {
        let mut here = self.clone();
        while here.at < here.end {
            let chunk = here.chunk()?;
            let (found, len) = (chunk.iter().position(|each| *each == byte), chunk.len());
            if let Some(found) = found {
                return Ok((here.at - self.at) as usize + found);
            }
            here.at += len as u64;
        }
        Err(Error::UnexpectedEof(self.offset_id()))
    }

    fn skip(&mut self, len: usize) -> gimli::Result<()> {
        if Reader::len(self) < len {
            return Err(Error::UnexpectedEof(self.offset_id()));
        }
        self.at += len as u64;
        Ok(())
    }

    fn split(&mut self, len: usize) -> gimli::Result<Self> {
        let mut head = self.clone();
        head.truncate(len)?;
        self.at = head.end;
        Ok(head)
    }

    fn to_slice(&self) -> gimli::Result<Cow<'_, [u8]>> {
        let len = Reader::len(self);
        if len > LONGEST {
            return Err(Error::UnexpectedEof(self.offset_id()));
        }
        let mut bytes = vec![0; len];
        self.clone().read_slice(&mut bytes)?;
        Ok(Cow::Owned(bytes))
    }

    fn to_string(&self) -> gimli::Result<Cow<'_, str>> {
        let bytes = self.to_slice()?.into_owned();
        String::from_utf8(bytes).map(Cow::Owned).map_err(|_| Error::BadUtf8)
    }

    fn to_string_lossy(&self) -> gimli::Result<Cow<'_, str>> {
        Ok(Cow::Owned(String::from_utf8_lossy(&self.to_slice()?).into_owned()))
    }

    fn read_slice(&mut self, buf: &mut [u8]) -> gimli::Result<()> {
        if Reader::len(self) < buf.len() {
            return Err(Error::UnexpectedEof(self.offset_id()));
        }
        let mut rest = buf;
        while !rest.is_empty() {
            let chunk = self.chunk()?;
            let len = chunk.len().min(rest.len());
            let (now, later) = rest.split_at_mut(len);
            now.copy_from_slice(&chunk[..len]);
            rest = later;
            self.at += len as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// The same bytes, from a file that spans pages and from memory.
    fn both() -> [(Vec<u8>, View); 2] {
        let bytes: Vec<u8> = (0..3 * PAGE + 17).map(|at| (at % 251) as u8 + 1).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let paged = Blob::file(file, &Pool::default()).unwrap();
        let held = Blob::memory(Arc::from(bytes.as_slice()));
        let len = bytes.len() as u64;
        [(bytes.clone(), paged.view(0, len)), (bytes, held.view(0, len))]
    }

    #[test]
    fn reads_across_pages_are_whole() {
        for (bytes, view) in both() {
            let mut here = view.clone();
            here.skip(PAGE as usize - 3).unwrap();
            assert_eq!(here.read_u64().unwrap().to_le_bytes(), bytes[PAGE as usize - 3..PAGE as usize + 5]);
            assert_eq!(view.to_slice().unwrap().as_ref(), bytes.as_slice());
            assert_eq!(here.offset_from(&view), PAGE as usize + 5);
        }
    }

    #[test]
    fn nothing_is_read_behind_the_end() {
        for (bytes, view) in both() {
            let mut tail = view.clone();
            tail.skip(bytes.len() - 3).unwrap();
            assert!(tail.clone().read_u32().is_err());
            assert!(tail.clone().split(4).is_err() && tail.clone().skip(4).is_err());
            assert_eq!(tail.split(3).unwrap().to_slice().unwrap().as_ref(), &bytes[bytes.len() - 3..]);
            assert!(tail.read_u8().is_err());
        }
    }

    #[test]
    fn a_byte_is_found_in_a_later_page_and_only_inside_the_view() {
        let mut bytes = vec![1; 2 * PAGE as usize];
        bytes[PAGE as usize + 9] = 0;
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let view = Blob::file(file, &Pool::default()).unwrap().view(5, 2 * PAGE);
        assert_eq!(view.find(0).unwrap(), PAGE as usize + 4);
        let mut short = view.clone();
        short.truncate(PAGE as usize).unwrap();
        assert!(short.find(0).is_err());
    }

    #[test]
    fn memory_stays_bounded() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4 * PAGES as u64 * PAGE).unwrap();
        let pool = Pool::default();
        let view = Blob::file(file, &pool).unwrap().view(0, u64::MAX);
        assert!(view.find(1).is_err());
        assert!(pool.0.lock().unwrap().len() <= PAGES);
        drop(view);
        assert_eq!(pool.0.lock().unwrap().len(), 0);
    }
}
