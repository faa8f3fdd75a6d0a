//! The structures of a catalogue, as `der` encodes them. The names are those of
//! [MS-CAESO] and of `wintrust.h`.
//!
//! [MS-CAESO]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-caeso/

use authenticode::{DigestInfo, SpcAttributeTypeAndOptionalValue, SpcIndirectDataContent};
use der::{
    Any, Choice, Encode as _, Sequence, Tag, TagNumber,
    asn1::{BitString, BmpString, OctetString, SetOfVec},
    oid::ObjectIdentifier,
};
use x509_cert::{
    attr::Attribute,
    ext::{Extension, Extensions},
    spki::AlgorithmIdentifierOwned,
    time::Time,
};

/// `szOID_CATALOG_LIST`
const CATALOG_LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.12.1.1");
/// `szOID_CATALOG_LIST_MEMBER2`: members are known by hashes in binary.
const CATALOG_LIST_MEMBER2: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.12.1.3");
/// `CAT_NAMEVALUE_OBJID`
const CAT_NAMEVALUE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.12.2.1");
/// `CAT_MEMBERINFO2_OBJID`
const CAT_MEMBERINFO2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.12.2.3");
/// `SPC_INDIRECT_DATA_OBJID`
const SPC_INDIRECT_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.4");
/// `SPC_PE_IMAGE_DATA_OBJID`
const SPC_PE_IMAGE_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.15");
/// `SPC_CAB_DATA_OBJID`, which stands for every flat file.
const SPC_CAB_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.25");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");

/// `CRYPTCAT_ATTR_AUTHENTICATED`, `CRYPTCAT_ATTR_DATAASCII` and
/// `CRYPTCAT_ATTR_NAMEASCII`: a value that is signed, and text as its name is.
const SIGNED_TEXT: u32 = 0x1001_0001;

/// What kind of file a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Image,
    FlatFile,
}

/// `CertificateTrustList`, version 1.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub(super) struct CertificateTrustList {
    subject_usage: Vec<ObjectIdentifier>,
    list_identifier: OctetString,
    this_update: Time,
    subject_algorithm: AlgorithmIdentifierOwned,
    trusted_subjects: Vec<TrustedSubject>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    extensions: Extensions,
}

impl CertificateTrustList {
    pub(super) fn new(
        list_identifier: OctetString,
        this_update: Time,
        trusted_subjects: Vec<TrustedSubject>,
        attributes: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let extensions = attributes.iter().map(|(name, value)| {
            Ok(Extension {
                extn_id: CAT_NAMEVALUE,
                critical: false,
                extn_value: OctetString::new(NameValue::new(name, value)?.to_der()?)?,
            })
        });
        Ok(Self {
            subject_usage: vec![CATALOG_LIST],
            list_identifier,
            this_update,
            subject_algorithm: algorithm(CATALOG_LIST_MEMBER2),
            trusted_subjects,
            extensions: extensions.collect::<anyhow::Result<_>>()?,
        })
    }
}

/// `TrustedSubject`: a member, known by its hash.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub(super) struct TrustedSubject {
    identifier: OctetString,
    attributes: SetOfVec<Attribute>,
}

impl TrustedSubject {
    /// A member with names and values.
    pub(super) fn new(digest: &[u8], attributes: &[(&str, &str)]) -> anyhow::Result<Self> {
        let mut all = SetOfVec::new();
        all.insert(attribute(CAT_MEMBERINFO2, MemberInfo2::unspecified()?)?)?;
        for (name, value) in attributes {
            let value = Any::encode_from(&NameValue::new(name, value)?)?;
            all.insert(attribute(CAT_NAMEVALUE, value)?)?;
        }
        Ok(Self {
            identifier: OctetString::new(digest)?,
            attributes: all,
        })
    }

    /// The same with its hash, SHA-256, as signed data.
    pub(super) fn with_indirect_data(
        digest: &[u8],
        attributes: &[(&str, &str)],
        subject: Subject,
    ) -> anyhow::Result<Self> {
        let mut member = Self::new(digest, attributes)?;
        let data = Any::encode_from(&SpcIndirectDataContent {
            data: subject.described()?,
            message_digest: DigestInfo {
                digest_algorithm: algorithm(SHA256),
                digest: OctetString::new(digest)?,
            },
        })?;
        member
            .attributes
            .insert(attribute(SPC_INDIRECT_DATA, data)?)?;
        Ok(member)
    }

    pub(super) fn identifier(&self) -> &[u8] {
        self.identifier.as_bytes()
    }
}

impl Subject {
    fn described(self) -> anyhow::Result<SpcAttributeTypeAndOptionalValue> {
        let file = SpcLink::File(SpcString::Unicode(BmpString::from_utf8("")?));
        Ok(match self {
            Self::Image => SpcAttributeTypeAndOptionalValue {
                value_type: SPC_PE_IMAGE_DATA,
                value: Any::encode_from(&SpcPeImageData {
                    flags: BitString::new(SpcPeImageData::UNUSED, [SpcPeImageData::FLAGS])?,
                    file,
                })?,
            },
            Self::FlatFile => SpcAttributeTypeAndOptionalValue {
                value_type: SPC_CAB_DATA,
                value: Any::encode_from(&file)?,
            },
        })
    }
}

/// `SpcPeImageData`
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
struct SpcPeImageData {
    flags: BitString,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    file: SpcLink,
}

impl SpcPeImageData {
    /// `SpcPeImageFlags`: resources and import addresses are in the hash, as the whole
    /// image is.
    const FLAGS: u8 = 0b1010_0000;
    const UNUSED: u8 = 5;
}

/// `SpcLink`, the alternative that names a file, which nobody does any more.
#[derive(Clone, Debug, PartialEq, Eq, Choice)]
enum SpcLink {
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", constructed = "true")]
    File(SpcString),
}

/// `SpcString`
#[derive(Clone, Debug, PartialEq, Eq, Choice)]
enum SpcString {
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    Unicode(BmpString),
}

/// `CAT_NAMEVALUE`
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
struct NameValue {
    name: BmpString,
    flags: u32,
    value: OctetString,
}

impl NameValue {
    fn new(name: &str, value: &str) -> anyhow::Result<Self> {
        let value: Vec<u8> = value
            .encode_utf16()
            .chain([0])
            .flat_map(u16::to_le_bytes)
            .collect();
        Ok(Self {
            name: BmpString::from_utf8(name)?,
            flags: SIGNED_TEXT,
            value: OctetString::new(value)?,
        })
    }
}

/// `CAT_MEMBERINFO2`, of which Inf2Cat writes nothing but its third alternative, empty.
struct MemberInfo2;

impl MemberInfo2 {
    fn unspecified() -> der::Result<Any> {
        let tag = Tag::ContextSpecific {
            constructed: false,
            number: TagNumber::N2,
        };
        Any::new(tag, [])
    }
}

fn attribute(oid: ObjectIdentifier, value: Any) -> der::Result<Attribute> {
    let mut values = SetOfVec::new();
    values.insert(value)?;
    Ok(Attribute { oid, values })
}

fn algorithm(oid: ObjectIdentifier) -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned {
        oid,
        parameters: Some(Any::null()),
    }
}
