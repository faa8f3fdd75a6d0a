//! The catalogue: which files belong to the package, by their hashes.
//!
//! It is a PKCS #7 message around a certificate trust list, the structure that
//! [MS-CAESO] describes, with the members and attributes that Inf2Cat writes for
//! Windows 10: each file twice, by its SHA-1 and by its SHA-256 hash, for Windows looks
//! it up by either. Only the SHA-256 entry has the hash as signed data.
//!
//! It comes out the same for the same files; `signing` then adds the signature.
//!
//! [MS-CAESO]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-caeso/

mod layout;

use cms::{
    content_info::{CmsVersion, ContentInfo},
    signed_data::{EncapsulatedContentInfo, SignedData, SignerInfos},
};
use der::{
    Any, Decode as _, Encode as _,
    asn1::{OctetString, SetOfVec, UtcTime},
    oid::ObjectIdentifier,
};
use sha2::{Digest as _, Sha256};
use x509_cert::time::Time;

use super::{digest::Digests, source_date::SourceDate};
use layout::{CertificateTrustList, Subject, TrustedSubject};

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
/// `szOID_CTL`
const TRUST_LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.10.1");

/// Names and values that say what the whole package is for: the systems that its
/// catalogue holds for, x64 from Windows 10 on, and the device.
pub(super) const ATTRIBUTES: [(&str, &str); 2] =
    [("OS", "_v100_X64"), ("HWID1", r"pci\ven_1234&dev_11e8")];
/// The same of one file: `OSAttr` is the first version, of the NT family (2).
const SYSTEM: &str = "2:10.0";

/// What a catalogue is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Catalogue<'a> {
    /// `edu.sys`, signed or not.
    pub(super) image: &'a [u8],
    /// `edu.inf`, stamped.
    pub(super) inf: &'a [u8],
    pub(super) date: &'a SourceDate,
}

impl Catalogue<'_> {
    /// The catalogue without a signature.
    pub(super) fn encode(&self) -> anyhow::Result<Vec<u8>> {
        let list = Any::encode_from(&self.list()?)?;
        let data = SignedData {
            version: CmsVersion::V1,
            digest_algorithms: SetOfVec::new(),
            encap_content_info: EncapsulatedContentInfo {
                econtent_type: TRUST_LIST,
                econtent: Some(list),
            },
            certificates: None,
            crls: None,
            signer_infos: SignerInfos(SetOfVec::new()),
        };
        let message = ContentInfo {
            content_type: SIGNED_DATA,
            content: Any::encode_from(&data)?,
        };
        Ok(message.to_der()?)
    }

    fn list(&self) -> anyhow::Result<CertificateTrustList> {
        let mut subjects = members("edu.sys", Subject::Image, &Digests::of_image(self.image)?)?;
        subjects.extend(members(
            "edu.inf",
            Subject::FlatFile,
            &Digests::of_flat_file(self.inf),
        )?);
        subjects.sort_by(|one, other| one.identifier().cmp(other.identifier()));
        CertificateTrustList::new(
            identifier(&subjects)?,
            Time::UtcTime(UtcTime::from_date_time(self.date.time())?),
            subjects,
            &ATTRIBUTES,
        )
    }
}

/// The two entries of a file.
fn members(name: &str, subject: Subject, digests: &Digests) -> anyhow::Result<Vec<TrustedSubject>> {
    let attributes = [("File", name), ("OSAttr", SYSTEM)];
    Ok(vec![
        TrustedSubject::new(&digests.sha1, &attributes)?,
        TrustedSubject::with_indirect_data(&digests.sha256, &attributes, subject)?,
    ])
}

/// What tells this list from others. It takes no clock and no chance to make it from
/// what the list holds.
fn identifier(subjects: &[TrustedSubject]) -> anyhow::Result<OctetString> {
    const LENGTH: usize = 16;
    let mut hash = Sha256::new();
    for subject in subjects {
        hash.update(subject.to_der()?);
    }
    let hash = hash.finalize();
    Ok(OctetString::new(&hash[..LENGTH])?)
}

/// The list in a catalogue, as it was encoded: all but the signature.
pub(super) fn content(catalogue: &[u8]) -> anyhow::Result<Vec<u8>> {
    let message = ContentInfo::from_der(catalogue)?;
    let data: SignedData = message.content.decode_as()?;
    Ok(data.encap_content_info.to_der()?)
}
