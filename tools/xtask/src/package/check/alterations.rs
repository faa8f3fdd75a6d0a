//! That a package with one changed byte is refused, by osslsigncode (with OpenSSL for
//! what osslsigncode does not take) and by signify.

use std::path::Path;

use anyhow::Context as _;
use cms::{content_info::ContentInfo, signed_data::SignedData};
use der::Decode as _;

use super::{super::Package, refused, verifiers::Verifiers};
use crate::workspace;

/// A way to change a package.
struct Alteration {
    /// What is changed, to follow "a byte of".
    what: &'static str,
    file: &'static str,
    /// Where the byte is.
    place: fn(&[u8]) -> anyhow::Result<usize>,
    /// What osslsigncode, or OpenSSL in its place, no longer accepts.
    refused_by: &'static [fn(&Verifiers, &Path) -> anyhow::Result<String>],
}

const ALTERATIONS: &[Alteration] = &[
    Alteration {
        what: "edu.sys",
        file: "edu.sys",
        place: |image| Ok(image.len() / 2),
        refused_by: &[Verifiers::image_signature, Verifiers::image_in_catalogue],
    },
    Alteration {
        what: "edu.inf",
        file: "edu.inf",
        place: |inf| Ok(inf.len() / 2),
        refused_by: &[Verifiers::inf_in_catalogue],
    },
    Alteration {
        what: "the hashes in edu.cat",
        file: "edu.cat",
        place: |catalogue| {
            let data = signed_data(catalogue)?;
            let list = data.encap_content_info.econtent;
            let list = list.context("the catalogue has no list")?;
            // The last of the list are attributes of the whole; its middle are members.
            Ok(position(catalogue, list.value())? + list.value().len() / 2)
        },
        refused_by: &[Verifiers::catalogue_signature],
    },
    Alteration {
        what: "the signature of edu.cat",
        file: "edu.cat",
        place: |catalogue| {
            let data = signed_data(catalogue)?;
            let signers = data.signer_infos.0;
            let signer = signers.get(0).context("the catalogue has no signer")?;
            let signature = signer.signature.as_bytes();
            Ok(position(catalogue, signature)? + signature.len() / 2)
        },
        refused_by: &[Verifiers::catalogue_signature],
    },
];

/// Changes a copy of `package` in each way, and says who noticed.
pub(super) fn judge(
    package: &Package,
    verifiers: &Verifiers,
) -> Vec<(String, anyhow::Result<String>)> {
    ALTERATIONS
        .iter()
        .map(|alteration| {
            let check = format!("a byte of {}", alteration.what);
            (check, alteration.judge(package, verifiers))
        })
        .collect()
}

impl Alteration {
    fn judge(&self, package: &Package, verifiers: &Verifiers) -> anyhow::Result<String> {
        let folder = package.folder.with_file_name("package-altered");
        for name in ["edu.cat", "edu.inf", "edu.sys"] {
            let mut contents = workspace::read(&package.file(name))?;
            if name == self.file {
                let place = (self.place)(&contents)?;
                let byte = contents.get_mut(place).context("there is no such byte")?;
                *byte ^= 1;
            }
            workspace::write_if_changed(&folder.join(name), &contents)?;
        }
        for accepts in self.refused_by {
            refused("osslsigncode", accepts(verifiers, &folder))?;
        }
        refused("signify", verifiers.signify(&folder))?;
        Ok("refused by both".to_owned())
    }
}

fn signed_data(catalogue: &[u8]) -> anyhow::Result<SignedData> {
    Ok(ContentInfo::from_der(catalogue)?.content.decode_as()?)
}

fn position(all: &[u8], part: &[u8]) -> anyhow::Result<usize> {
    all.windows(part.len())
        .position(|window| window == part)
        .context("the catalogue is not encoded as it was read")
}
