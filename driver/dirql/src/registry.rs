//! The driver's parameters in the registry. Wraps `ZwOpenKey`, `ZwQueryValueKey`,
//! `ZwClose`.
//!
//! # Model
//!
//! DriverEntry is given the path of the driver's service key, as a [`ServiceKey`]. Its
//! subkey `Parameters` is lent to a closure as a [`Key`] and closed when that returns:
//! there is no handle to forget. Values are read with a type, and what is in the registry
//! is believed in nothing: a value of another type, a string without an end, one that
//! grows while it is read are errors or cut, never more than that.
//!
//! RtlQueryRegistryValues reads the same in one call, but writes where a table says, at
//! a length that the registry says; see "RtlQueryRegistryValues" for what drivers had to
//! learn from that. ZwQueryValueKey is given a length.
//!
//! ```
//! use dirql::{irql::Passive, registry::ServiceKey, status::Result, unicode};
//!
//! fn retries(irql: &mut Passive, service: &ServiceKey<'_>) -> Result<u32> {
//!     service.parameters(irql, |irql, key| key.dword(irql, unicode!("Retries")))
//! }
//! ```
//!
//! # Contexts
//!
//! | operation | caller | token | may block |
//! |---|---|---|---|
//! | all | DriverEntry | `Passive` | yes |
//!
//! # Soundness
//!
//! Facts 1 to 5 of the crate, and of this module:
//!
//! 16. **Handle.** A key's handle is a kernel handle, open while the closure runs that the
//!     key is lent to, and known to nobody else.
//!
//! # Not here
//!
//! Writing: a driver stores nothing in the service key that an administrator owns.

use zerocopy::{FromBytes, IntoBytes as _};

use crate::{
    irql::Passive,
    pool::{PoolVec, Tag},
    status::{NtError, Result},
    sys,
    unicode::{UnicodeStr, UnicodeString, UnicodeStrings},
};

/// Longest value that is read, in bytes. The registry holds longer ones; no parameter of
/// a driver is.
const LONGEST: usize = 0x1_0000;
/// How often a value that grows meanwhile is asked for again.
const ATTEMPTS: u32 = 4;
/// Tag of what lasts no longer than a call.
const TAG: Tag = Tag::new(*b"DirQ");

const REG_SZ: u32 = 1;
const REG_EXPAND_SZ: u32 = 2;
const REG_BINARY: u32 = 3;
const REG_DWORD: u32 = 4;
const REG_MULTI_SZ: u32 = 7;
const REG_QWORD: u32 = 11;

/// The driver's key in `\Registry\Machine\System\CurrentControlSet\Services`.
#[derive(Debug)]
pub struct ServiceKey<'a> {
    path: UnicodeStr<'a>,
}

impl<'a> ServiceKey<'a> {
    /// What DriverEntry was given.
    ///
    /// # Safety
    /// `path` is NULL or a string of the kernel's that outlives the result.
    pub(crate) unsafe fn of_driver_entry(path: *const sys::UNICODE_STRING) -> Result<Self> {
        // SAFETY: (Pointer) the contract, fact 10.
        let path = unsafe { path.as_ref() }.ok_or(NtError::STATUS_INVALID_PARAMETER)?;
        // SAFETY: (Pointer) the contract: the kernel's buffer has the length that it says,
        // fact 10.
        let path = unsafe { UnicodeStr::from_kernel(path) }?;
        Ok(Self { path })
    }

    /// Its path.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub const fn path(&self) -> UnicodeStr<'a> {
        self.path
    }

    /// Opens the subkey `Parameters`, lends it to `f`, and closes it. Wraps `ZwOpenKey`,
    /// `ZwClose`.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    ///
    /// # Errors
    /// STATUS_OBJECT_NAME_NOT_FOUND if there is no such key, and whatever `f` returns.
    /// See "ZwOpenKey" in the documentation.
    pub fn parameters<R>(
        &self,
        irql: &mut Passive,
        f: impl FnOnce(&mut Passive, &Key) -> Result<R>,
    ) -> Result<R> {
        with_key(irql, None, self.path, |irql, service| {
            with_key(irql, Some(service), crate::unicode!("Parameters"), f)
        })
    }
}

/// A key that is open for reading.
#[derive(Debug)]
pub struct Key {
    handle: sys::HANDLE,
}

/// Opens a key, lends it to `f`, and closes it.
fn with_key<R>(
    irql: &mut Passive,
    root: Option<&Key>,
    name: UnicodeStr<'_>,
    f: impl FnOnce(&mut Passive, &Key) -> Result<R>,
) -> Result<R> {
    let mut name = name.as_kernel();
    let mut attributes = sys::OBJECT_ATTRIBUTES {
        Length: const { sys::ulong_size::<sys::OBJECT_ATTRIBUTES>() },
        RootDirectory: root.map_or(core::ptr::null_mut(), |root| root.handle),
        ObjectName: &raw mut name,
        Attributes: sys::OBJ_CASE_INSENSITIVE | sys::OBJ_KERNEL_HANDLE,
        SecurityDescriptor: core::ptr::null_mut(),
        SecurityQualityOfService: core::ptr::null_mut(),
    };
    let mut handle = core::ptr::null_mut();
    // SAFETY: (IRQL) the token says PASSIVE_LEVEL. (Pointer) all live across the call, and
    // the name is only read, fact 15; a root is open while its closure runs, fact 16.
    let status = unsafe { sys::ZwOpenKey(&raw mut handle, sys::KEY_READ, &raw mut attributes) };
    NtError::check(status)?;
    let result = f(irql, &Key { handle });
    // SAFETY: (IRQL) as above. (Caller) the handle's one close: it was opened here, and the
    // key was only lent, fact 16. A handle that was just opened can be closed, so the
    // status says nothing.
    let _closed = unsafe { sys::ZwClose(handle) };
    result
}

impl Key {
    /// The value of a REG_DWORD. Wraps `ZwQueryValueKey`.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    ///
    /// # Errors
    /// STATUS_OBJECT_NAME_NOT_FOUND if there is no such value, STATUS_OBJECT_TYPE_MISMATCH
    /// if it is no REG_DWORD of four bytes. See "ZwQueryValueKey" in the documentation.
    pub fn dword(&self, irql: &mut Passive, name: UnicodeStr<'_>) -> Result<u32> {
        self.number(irql, name, REG_DWORD)
    }

    /// The value of a REG_QWORD. Wraps `ZwQueryValueKey`.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    ///
    /// # Errors
    /// As [`dword`](Self::dword).
    pub fn qword(&self, irql: &mut Passive, name: UnicodeStr<'_>) -> Result<u64> {
        self.number(irql, name, REG_QWORD)
    }

    /// The value of a REG_SZ or REG_EXPAND_SZ, which is not expanded. Wraps
    /// `ZwQueryValueKey`.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    ///
    /// # Errors
    /// As [`dword`](Self::dword); STATUS_INVALID_BUFFER_SIZE if the value is longer than
    /// 64 KiB, STATUS_INSUFFICIENT_RESOURCES.
    pub fn string(
        &self,
        irql: &mut Passive,
        tag: Tag,
        name: UnicodeStr<'_>,
    ) -> Result<UnicodeString> {
        let value = self.value(irql, name)?;
        UnicodeString::from_bytes(irql, tag, value.of_type(&[REG_SZ, REG_EXPAND_SZ])?)
    }

    /// The strings of a REG_MULTI_SZ. Wraps `ZwQueryValueKey`.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    ///
    /// # Errors
    /// As [`string`](Self::string).
    pub fn strings(
        &self,
        irql: &mut Passive,
        tag: Tag,
        name: UnicodeStr<'_>,
    ) -> Result<UnicodeStrings> {
        let value = self.value(irql, name)?;
        UnicodeStrings::from_bytes(irql, tag, value.of_type(&[REG_MULTI_SZ])?)
    }

    /// The bytes of a REG_BINARY. Wraps `ZwQueryValueKey`.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    ///
    /// # Errors
    /// As [`string`](Self::string).
    pub fn binary(
        &self,
        irql: &mut Passive,
        tag: Tag,
        name: UnicodeStr<'_>,
    ) -> Result<PoolVec<u8>> {
        let value = self.value(irql, name)?;
        PoolVec::copy_of(irql, tag, value.of_type(&[REG_BINARY])?)
    }

    fn number<T: FromBytes>(
        &self,
        irql: &mut Passive,
        name: UnicodeStr<'_>,
        kind: u32,
    ) -> Result<T> {
        let value = self.value(irql, name)?;
        T::read_from_bytes(value.of_type(&[kind])?)
            .map_err(|_| NtError::STATUS_OBJECT_TYPE_MISMATCH)
    }

    /// A value with its type.
    fn value(&self, irql: &mut Passive, name: UnicodeStr<'_>) -> Result<Value> {
        let mut length = size_of::<Header>();
        for _ in 0..ATTEMPTS {
            let mut value = Value::with_room(irql, length)?;
            match self.query(irql, name, &mut value.words) {
                Ok(()) => return Ok(value),
                Err((
                    NtError::STATUS_BUFFER_OVERFLOW | NtError::STATUS_BUFFER_TOO_SMALL,
                    needed,
                )) => length = needed,
                Err((error, _)) => return Err(error),
            }
        }
        Err(NtError::STATUS_BUFFER_OVERFLOW)
    }

    /// Asks for a value; the error comes with the length that is needed.
    fn query(
        &self,
        _irql: &mut Passive,
        name: UnicodeStr<'_>,
        words: &mut [u32],
    ) -> core::result::Result<(), (NtError, usize)> {
        let mut name = name.as_kernel();
        let bytes = words.as_mut_bytes();
        let mut needed = 0;
        // SAFETY: (IRQL) the token says PASSIVE_LEVEL. (Pointer) the handle is open, fact 16;
        // the buffer has the length that is passed, all live across the call, and the name
        // is only read, fact 15.
        let status = unsafe {
            sys::ZwQueryValueKey(
                self.handle,
                &raw mut name,
                sys::KEY_VALUE_PARTIAL_INFORMATION_CLASS,
                bytes.as_mut_ptr().cast(),
                u32::try_from(bytes.len()).unwrap_or(u32::MAX),
                &raw mut needed,
            )
        };
        NtError::check(status)
            .map(|_| ())
            .map_err(|error| (error, usize::try_from(needed).unwrap_or(usize::MAX)))
    }
}

/// The start of a `KEY_VALUE_PARTIAL_INFORMATION`; the data follow.
#[derive(Clone, Copy, FromBytes)]
#[repr(C)]
struct Header {
    _title_index: u32,
    kind: u32,
    length: u32,
}

/// A `KEY_VALUE_PARTIAL_INFORMATION`, in words for its alignment.
struct Value {
    words: PoolVec<u32>,
}

impl Value {
    /// Room for `length` bytes of header and data.
    fn with_room(irql: &mut Passive, length: usize) -> Result<Self> {
        if length > LONGEST.saturating_add(size_of::<Header>()) {
            return Err(NtError::STATUS_INVALID_BUFFER_SIZE);
        }
        let words = PoolVec::filled(irql, TAG, length.div_ceil(size_of::<u32>()), 0)?;
        Ok(Self { words })
    }

    /// The data, if they are of one of these types.
    fn of_type(&self, kinds: &[u32]) -> Result<&[u8]> {
        let mismatch = NtError::STATUS_OBJECT_TYPE_MISMATCH;
        let (header, data) =
            Header::read_from_prefix(self.words.as_bytes()).map_err(|_| mismatch)?;
        if !kinds.contains(&header.kind) {
            return Err(mismatch);
        }
        let length = usize::try_from(header.length).map_err(|_| mismatch)?;
        data.get(..length).ok_or(mismatch)
    }
}

#[cfg(test)]
mod tests {
    use super::{Header, REG_BINARY, REG_DWORD, Value};
    use crate::{irql::Passive, status::NtError};

    fn value(words: &[u32]) -> Value {
        // SAFETY: a host thread starts at the level that the host kernel calls PASSIVE,
        // fact 5.
        let mut irql = unsafe { Passive::assume() };
        let mut value = Value::with_room(&mut irql, size_of_val(words)).expect("memory");
        value.words.copy_from_slice(words);
        value
    }

    #[test]
    fn a_value_has_the_type_and_the_length_that_it_says() {
        let dword = value(&[0, REG_DWORD, 4, 5]);
        assert_eq!(dword.of_type(&[REG_DWORD]), Ok(&[5, 0, 0, 0][..]));
        let three = value(&[0, REG_BINARY, 3, 5]);
        assert_eq!(three.of_type(&[REG_DWORD, REG_BINARY]), Ok(&[5, 0, 0][..]));
    }

    #[test]
    fn what_a_value_says_is_not_believed() {
        let mismatch = Err(NtError::STATUS_OBJECT_TYPE_MISMATCH);
        assert_eq!(
            value(&[0, REG_BINARY, 4, 5]).of_type(&[REG_DWORD]),
            mismatch
        );
        assert_eq!(value(&[0, REG_DWORD, 5, 5]).of_type(&[REG_DWORD]), mismatch);
        assert_eq!(
            value(&[0, REG_DWORD, u32::MAX, 5]).of_type(&[REG_DWORD]),
            mismatch
        );
        assert_eq!(value(&[0, REG_DWORD]).of_type(&[REG_DWORD]), mismatch);
        assert_eq!(size_of::<Header>(), 12);
    }

    #[test]
    fn a_value_that_no_driver_needs_is_not_read() {
        // SAFETY: as above, fact 5.
        let mut irql = unsafe { Passive::assume() };
        let huge = Value::with_room(&mut irql, usize::MAX).map(|_| ());
        assert_eq!(huge, Err(NtError::STATUS_INVALID_BUFFER_SIZE));
    }
}
