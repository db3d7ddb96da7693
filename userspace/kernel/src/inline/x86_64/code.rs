//! Assembler for the few instructions that are written into a target.

use binary::locate::register::Reg;

/// Label: an address in the code that is not known yet.
#[derive(Clone, Copy, Debug)]
pub struct Label(usize);

/// Code for an address, put together instruction by instruction.
pub struct Code {
    base: u64,
    bytes: Vec<u8>,
    labels: Vec<Option<usize>>,
    /// Offsets of open four-byte distances, with their labels.
    open: Vec<(usize, Label)>,
}

impl Code {
    /// Empty code at an address.
    pub fn at(base: u64) -> Self {
        Self { base, bytes: Vec::new(), labels: Vec::new(), open: Vec::new() }
    }

    /// The address of the next instruction.
    pub fn here(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    /// Appends bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Appends bytes and a constant of four bytes behind them.
    pub fn with(&mut self, bytes: &[u8], constant: u32) -> &mut Self {
        self.raw(bytes).raw(&constant.to_le_bytes())
    }

    /// Appends an instruction that ends in the distance to an address.
    pub fn to(&mut self, bytes: &[u8], address: u64) -> &mut Self {
        let next = self.here() + bytes.len() as u64 + 4;
        self.with(bytes, address.wrapping_sub(next) as u32)
    }

    /// Makes a label that is set later.
    pub fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// Sets a label to the current address.
    pub fn set(&mut self, label: Label) -> &mut Self {
        self.labels[label.0] = Some(self.bytes.len());
        self
    }

    /// Appends an instruction that ends in the distance to a label.
    pub fn branch(&mut self, bytes: &[u8], label: Label) -> &mut Self {
        self.raw(bytes);
        self.open.push((self.bytes.len(), label));
        self.raw(&[0; 4])
    }

    /// `mov $value,%register`, all 64 bits.
    pub fn load(&mut self, register: Reg, value: u64) -> &mut Self {
        let number = register as u8;
        self.raw(&[0x48 | number >> 3, 0xb8 | number & 7]).raw(&value.to_le_bytes())
    }

    /// `mov %from,%to` of 32 bits; the upper half becomes zero.
    pub fn copy32(&mut self, to: Reg, from: Reg) -> &mut Self {
        let (to, from) = (to as u8, from as u8);
        self.raw(&[0x40 | (from >> 3) << 2 | to >> 3, 0x89, 0xc0 | (from & 7) << 3 | to & 7])
    }

    /// `mov %from,%to` of 64 bits.
    pub fn copy64(&mut self, to: Reg, from: Reg) -> &mut Self {
        let (to, from) = (to as u8, from as u8);
        self.raw(&[0x48 | (from >> 3) << 2 | to >> 3, 0x89, 0xc0 | (from & 7) << 3 | to & 7])
    }

    /// `push %register`: all 64 bits.
    pub fn push(&mut self, register: Reg) -> &mut Self {
        let number = register as u8;
        self.raw(&[0x40 | number >> 3, 0x50 | number & 7])
    }

    /// `pop %register`: all 64 bits.
    pub fn pop(&mut self, register: Reg) -> &mut Self {
        let number = register as u8;
        self.raw(&[0x40 | number >> 3, 0x58 | number & 7])
    }

    /// Returns all bytes, once every label is set.
    pub fn finish(mut self) -> Vec<u8> {
        for (at, label) in self.open {
            let target = self.labels[label.0].unwrap_or(0) as i64;
            let distance = (target - (at as i64 + 4)) as i32;
            self.bytes[at..at + 4].copy_from_slice(&distance.to_le_bytes());
        }
        self.bytes
    }
}

/// `jmp` from one address to another; `None` if the distance is too large.
pub fn jump(from: u64, to: u64) -> Option<[u8; 5]> {
    let distance = i32::try_from(to.wrapping_sub(from + 5) as i64).ok()?;
    let [a, b, c, d] = distance.to_le_bytes();
    Some([0xe9, a, b, c, d])
}
