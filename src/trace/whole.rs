//! Whole: a file is written whole or not at all.

use std::io::{self, Write};
use std::path::Path;

/// The permissions of a new file, before the user's mask.
#[cfg(unix)]
const MODE: u32 = 0o666;

/// Writes a file, making its folder. A full disk, an interrupt or a crash leaves what was there before: the bytes go to another
/// file in the same folder, are synced, and then take its name. What is no regular file (a pipe, a terminal) is written to.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    match std::fs::metadata(path) {
        Ok(there) if there.is_file() => {
            // A symbolic link stays one.
            let target = std::fs::canonicalize(path)?;
            replace(&target, bytes, Some(there.permissions()))
        }
        Ok(_) => std::fs::OpenOptions::new().write(true).open(path)?.write_all(bytes),
        Err(_) => replace(path, bytes, None),
    }
}

fn replace(path: &Path, bytes: &[u8], permissions: Option<std::fs::Permissions>) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".doublehold-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(MODE));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    if let Some(permissions) = permissions {
        file.as_file().set_permissions(permissions)?;
    }
    file.as_file().sync_all()?;
    file.persist(path)?;
    // The name is durable once its folder is; a file system that cannot sync folders has it all the same.
    drop(std::fs::File::open(folder).and_then(|folder| folder.sync_all()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("deep/trace.json");
        for text in ["first", "second"] {
            write_whole(&path, text.as_bytes()).expect("it can be written");
            assert_eq!(std::fs::read_to_string(&path).expect("it is there"), text);
        }
        assert_eq!(std::fs::read_dir(folder.path().join("deep")).expect("the folder is there").count(), 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_device_stays_one() {
        write_whole(Path::new("/dev/null"), b"gone").expect("it swallows everything");
        assert!(!std::fs::metadata("/dev/null").expect("it is there").is_file());
        let full = write_whole(Path::new("/dev/full"), b"too much").expect_err("it is full");
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_one() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, "old").expect("it can be written");
        std::os::unix::fs::symlink(&file, &link).expect("it can be linked");
        write_whole(&link, b"new").expect("it can be written");
        assert!(std::fs::symlink_metadata(&link).expect("it is there").is_symlink());
        assert_eq!(std::fs::read_to_string(&file).expect("it is there"), "new");
    }
}
