//! The INF as `stampinf` makes it from the source: the architecture and `DriverVer`
//! filled in.
//! <https://learn.microsoft.com/en-us/windows-hardware/drivers/devtest/stampinf>

use anyhow::ensure;

use super::source_date::SourceDate;

/// What stands for the architecture in `edu.inx`, and its name in an INF.
const ARCHITECTURE: (&str, &str) = ("$ARCH$", "amd64");
/// `DriverVer` goes below this line.
const VERSION_SECTION: &str = "[Version]";

/// `source` with its architecture and its `DriverVer` directive.
pub(super) fn stamped(source: &str, date: &SourceDate, version: &str) -> anyhow::Result<String> {
    let (placeholder, name) = ARCHITECTURE;
    ensure!(
        source.contains(placeholder),
        "edu.inx has no {placeholder}, so it cannot be meant for {name}"
    );
    ensure!(
        source.is_ascii(),
        "edu.inx is not ASCII, and only with a byte order mark Windows would know what it is"
    );
    ensure!(
        !source.lines().any(|line| line.starts_with("DriverVer")),
        "edu.inx has a DriverVer of its own"
    );
    let sections = source.lines().filter(|line| *line == VERSION_SECTION);
    ensure!(
        sections.count() == 1,
        "edu.inx should have one {VERSION_SECTION}"
    );
    let directive = format!("DriverVer   = {},{version}", date.for_inf());
    let stamped = source
        .replace(placeholder, name)
        .replace(VERSION_SECTION, &format!("{VERSION_SECTION}\n{directive}"));
    Ok(for_windows(&stamped))
}

/// `text` with the line ends that Windows' own editor needs.
pub(super) fn for_windows(text: &str) -> String {
    text.lines().flat_map(|line| [line, "\r\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "[Version]\nClass = System\n[Manufacturer]\n%P% = D,NT$ARCH$.10.0\n";

    fn date() -> SourceDate {
        SourceDate::from_seconds("0").expect("a time")
    }

    #[test]
    fn architecture_and_version_are_filled_in() {
        assert_eq!(
            stamped(SOURCE, &date(), "1.2.3.0").expect("a source"),
            "[Version]\r\nDriverVer   = 01/01/1970,1.2.3.0\r\nClass = System\r\n\
             [Manufacturer]\r\n%P% = D,NTamd64.10.0\r\n"
        );
    }

    #[test]
    fn what_cannot_be_stamped_is_refused() {
        for source in [
            SOURCE.replace("$ARCH$", "amd64"),
            SOURCE.replace("[Version]", "[Versions]"),
            SOURCE.replace("Class", "DriverVer"),
            SOURCE.replace("System", "Syst\u{e8}me"),
        ] {
            assert!(stamped(&source, &date(), "1.0.0.0").is_err(), "{source}");
        }
    }
}
