//! What people hand over, from the outside: folders, archives, files and mistakes.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use tempfile::TempDir;

use super::*;

fn picture(width: u32, height: u32, tint: u8) -> DynamicImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([tint, (x * 9) as u8, (y * 7) as u8])).into()
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    picture.write_to(&mut Cursor::new(&mut bytes), format).unwrap();
    bytes
}

fn png(tint: u8) -> Vec<u8> {
    encoded(&picture(8, 8, tint), ImageFormat::Png)
}

fn folder(files: &[(&str, Vec<u8>)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    dir
}

fn open(path: &Path) -> Result<Source> {
    Source::open(path.to_str().unwrap())
}

fn index(path: &Path) -> ImageIndex {
    match open(path).unwrap() {
        Source::Images(index) => index,
        _ => panic!("not pictures"),
    }
}

fn message(path: &Path) -> String {
    open(path).unwrap_err().to_string()
}

fn spec(side: usize, channels: Channels) -> ImageSpec {
    ImageSpec { width: side, height: side, channels, fit: Fit::Crop }
}

fn load(index: &ImageIndex, spec: &ImageSpec) -> Result<ImageSet> {
    index.load(spec, &mut |_, _| {})
}

/// A grey picture of 4 x 4 pixels of one value, as a file.
pub(super) fn plain(value: u8) -> Vec<u8> {
    write_png(4, 4, Channels::Grey, &[value; 16], &[]).unwrap()
}

/// The values of such pictures.
pub(super) fn values_of_plain(index: &ImageIndex) -> Vec<u8> {
    let set = load(index, &spec(4, Channels::Grey)).unwrap();
    (0..set.len()).map(|i| set.picture(i)[0]).collect()
}

/// All pixels of a set.
fn all(set: &ImageSet) -> Vec<u8> {
    (0..set.len()).flat_map(|i| set.picture(i).into_owned()).collect()
}

fn paths(index: &ImageIndex) -> Vec<String> {
    index.entries.iter().map(|e| e.path.to_string_lossy().into_owned()).collect()
}

fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn idx(dims: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0, 8, dims.len() as u8];
    dims.iter().for_each(|d| out.extend(d.to_be_bytes()));
    out.extend(bytes);
    out
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

#[test]
fn every_format_is_read_and_extensions_may_lie() {
    let p = picture(8, 8, 5);
    let dir = folder(&[
        ("a.PNG", encoded(&p, ImageFormat::Png)),
        ("b.jpeg", encoded(&p, ImageFormat::Jpeg)),
        ("c.gif", encoded(&p, ImageFormat::Gif)),
        ("d.webp", encoded(&p, ImageFormat::WebP)),
        ("e.bmp", encoded(&p, ImageFormat::Bmp)),
        ("f.jpg", encoded(&p, ImageFormat::Png)),
        ("no_extension", encoded(&p, ImageFormat::Png)),
        ("notes", b"a text".to_vec()),
    ]);
    let index = index(dir.path());
    assert_eq!(paths(&index), ["a.PNG", "b.jpeg", "c.gif", "d.webp", "e.bmp", "f.jpg", "no_extension"]);
    assert_eq!(index.channels(), Channels::Rgb, "a gif's unused opacity does not count");
    let set = load(&index, &spec(8, Channels::Rgb)).unwrap();
    for lossless in [0, 3, 4, 5, 6] {
        assert_eq!(set.picture(lossless), p.as_bytes(), "{lossless}");
    }
}

#[test]
fn entries_are_in_order_of_their_paths_and_hidden_files_are_ignored() {
    let dir = folder(&[
        ("b/2.png", png(1)),
        ("b/10.png", png(2)),
        ("a/z.png", png(3)),
        (".git/x.png", png(4)),
        ("__MACOSX/b/._2.png", png(4)),
        ("b/._2.png", png(4)),
        ("b/readme.txt", b"hello".to_vec()),
    ]);
    let index = index(dir.path());
    assert_eq!(paths(&index), ["a/z.png", "b/10.png", "b/2.png"]);
    assert_eq!(index.classes, ["a", "b"]);
    assert_eq!(index.class_counts(), [1, 2]);
    assert!(index.notes.iter().any(|n| n.contains("1 other files ignored: 1 .txt")), "{:?}", index.notes);
    let set = load(&index, &spec(8, Channels::Rgb)).unwrap();
    assert_eq!(set.labels, [0, 1, 1]);
    assert_eq!((set.picture(0)[0], set.picture(1)[0], set.picture(2)[0]), (3, 2, 1));
}

#[test]
fn names_with_spaces_and_other_scripts_are_read() {
    let dir = folder(&[("my cat.png", png(1)), ("猫 ö.png", png(2)), ("100%.png", png(3))]);
    assert_eq!(index(dir.path()).entries.len(), 3);
}

#[cfg(unix)]
#[test]
fn odd_file_systems_are_survived() {
    use std::os::unix::fs::symlink;
    let dir = folder(&[("a/1.png", png(1)), ("a/line\nbreak.png", png(2))]);
    symlink(dir.path(), dir.path().join("a/loop")).unwrap();
    symlink(dir.path().join("nowhere"), dir.path().join("broken.png")).unwrap();
    symlink(dir.path().join("a"), dir.path().join("0")).unwrap();
    std::process::Command::new("mkfifo").arg(dir.path().join("pipe.png")).status().unwrap();
    assert_eq!(paths(&index(dir.path())), ["a/1.png", "a/line\nbreak.png"]);
}

#[test]
fn a_folder_and_a_zip_of_it_are_the_same_data() {
    let files = [("set/cat/1.png", png(1)), ("set/cat/2.png", png(2)), ("set/dog/1.png", png(3))];
    let dir = folder(&files);
    let zip: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
    let archive = folder(&[("x.zip", zipped(&zip))]);
    let (a, b) = (index(dir.path()), index(&archive.path().join("x.zip")));
    assert_eq!(
        a.entries.iter().map(|e| (&e.path, e.label)).collect::<Vec<_>>(),
        b.entries.iter().map(|e| (&e.path, e.label)).collect::<Vec<_>>()
    );
    assert_eq!(a.classes, ["cat", "dog"]);
    let spec = spec(8, Channels::Rgb);
    assert_eq!(load(&a, &spec).unwrap().fingerprint, load(&b, &spec).unwrap().fingerprint);
}

#[test]
fn labels_csv_lies_beside_the_pictures_in_folder_and_zip() {
    let csv = b"file,label\n1.png,7\n2.png,10\n3.png,7\n".to_vec();
    let dir = folder(&[("1.png", png(1)), ("2.png", png(2)), ("3.png", png(3)), ("labels.csv", csv.clone())]);
    let archive =
        folder(&[("x.zip", zipped(&[("in/1.png", &png(1)), ("in/2.png", &png(2)), ("in/3.png", &png(3)), ("in/labels.csv", &csv)]))]);
    for index in [index(dir.path()), index(&archive.path().join("x.zip"))] {
        assert_eq!(index.classes, ["7", "10"]);
        assert_eq!(load(&index, &spec(8, Channels::Rgb)).unwrap().labels, [0, 1, 0]);
        assert!(!index.notes.iter().any(|n| n.contains("ignored")), "{:?}", index.notes);
    }
}

#[test]
fn pictures_without_a_label_are_left_out_and_named() {
    let csv = b"file,label\n1.png,a\n2.png,b\n".to_vec();
    let dir = folder(&[("1.png", png(1)), ("2.png", png(2)), ("3.png", png(3)), ("labels.csv", csv)]);
    let index = index(dir.path());
    assert_eq!((index.entries.len(), index.skipped[0].path.to_str()), (2, Some("3.png")));
}

#[test]
fn an_archive_cannot_lead_out_lie_about_sizes_or_hide_behind_a_password() {
    let mut files: Vec<(String, Vec<u8>)> = (0..6).map(|i| (format!("{i}.png"), png(i))).collect();
    files.push(("../evil.png".into(), png(9)));
    let borrowed: Vec<(&str, &[u8])> = files.iter().map(|(n, b)| (n.as_str(), b.as_slice())).collect();
    let mut bytes = zipped(&borrowed);
    // Central directory: entry 0 gets the encryption flag, entry 1 a declared size of 5.
    let central: Vec<usize> = (0..bytes.len() - 4).filter(|&i| bytes[i..i + 4] == *b"PK\x01\x02").collect();
    bytes[central[0] + 8] |= 1;
    bytes[central[1] + 24..central[1] + 28].copy_from_slice(&5u32.to_le_bytes());
    let dir = folder(&[("x.zip", bytes)]);
    let index = index(&dir.path().join("x.zip"));
    let reasons: Vec<&str> = index.skipped.iter().map(|s| s.reason.as_str()).collect();
    assert_eq!(index.entries.len(), 4, "{reasons:?}");
    for part in ["encrypted", "leads out", "larger than"] {
        assert!(reasons.iter().any(|r| r.contains(part)), "{part}: {reasons:?}");
    }
}

#[test]
fn a_zip_without_pictures_says_what_is_in_it() {
    let dir = folder(&[("x.zip", zipped(&[("a.txt", b"hello")]))]);
    let text = message(&dir.path().join("x.zip"));
    assert!(text.contains("no pictures") && text.contains("1 .txt") && text.contains("x.zip"), "{text}");
}

#[test]
fn a_cut_off_jpeg_among_many_is_skipped_and_named() {
    let jpeg = encoded(&picture(64, 64, 3), ImageFormat::Jpeg);
    let cut = jpeg[..jpeg.len() * 2 / 3].to_vec();
    let mut files: Vec<(String, Vec<u8>)> = (0..9).map(|i| (format!("{i}.jpg"), jpeg.clone())).collect();
    files.push(("broken.jpg".into(), cut));
    let borrowed: Vec<(&str, Vec<u8>)> = files.iter().map(|(n, b)| (n.as_str(), b.clone())).collect();
    let dir = folder(&borrowed);
    let index = index(dir.path());
    let set = load(&index, &spec(16, Channels::Rgb)).unwrap();
    assert_eq!((set.len(), set.skipped.len()), (9, 1));
    assert_eq!(set.skipped[0].path.to_str(), Some("broken.jpg"));
    assert!(set.skipped[0].reason.contains("cut off"), "{}", set.skipped[0].reason);
    assert_eq!(index.verify(&mut |_, _| {}), set.skipped);
    let first = index.first(&spec(16, Channels::Rgb), 3).unwrap();
    let names: Vec<&str> = first.pictures.iter().filter_map(|(entry, _)| entry.path.to_str()).collect();
    assert_eq!((names, first.skipped), (vec!["0.jpg", "1.jpg", "2.jpg"], Vec::new()));
    let all = index.first(&spec(16, Channels::Rgb), usize::MAX).unwrap();
    assert_eq!((all.pictures.len(), all.skipped), (9, set.skipped));
}

#[test]
fn mostly_broken_data_is_an_error() {
    let good = png(1);
    let dir = folder(&[("1.png", good.clone()), ("2.png", good[..20].to_vec()), ("3.png", b"nonsense".to_vec()), ("4.png", Vec::new())]);
    let text = message(dir.path());
    assert!(text.contains("3 of 4 pictures cannot be used"), "{text}");
    let half: Vec<u8> = good[..good.len() - 30].to_vec();
    let dir = folder(&[("1.png", good), ("2.png", half.clone()), ("3.png", half.clone()), ("4.png", half)]);
    let text = load(&index(dir.path()), &spec(8, Channels::Rgb)).unwrap_err().to_string();
    assert!(text.contains("3 of 4 pictures cannot be used"), "{text}");
}

#[test]
fn a_lying_header_is_refused_before_decoding() {
    let mut huge = encoded(&picture(4, 4, 0), ImageFormat::Bmp);
    huge[18..22].copy_from_slice(&30_000u32.to_le_bytes());
    huge[22..26].copy_from_slice(&30_000u32.to_le_bytes());
    let dir = folder(&[("1.png", png(1)), ("2.png", png(2)), ("huge.bmp", huge)]);
    let index = index(dir.path());
    assert_eq!(index.entries.len(), 2);
    assert!(index.skipped[0].reason.contains("30000 x 30000"), "{}", index.skipped[0].reason);
}

#[test]
fn empty_folders_single_pictures_and_other_files_get_an_answer() {
    let empty = folder(&[]);
    assert!(message(empty.path()).contains("there is nothing in it"));
    let text = folder(&[("a.txt", b"x".to_vec()), ("b.txt", b"y".to_vec()), ("c.tif", b"II*\0".to_vec())]);
    let said = message(text.path());
    assert!(said.contains("3 other files ignored: 2 .txt, 1 .tif") && said.contains("IDX"), "{said}");
    let tables = folder(&[("a.csv", b"1,2\n".to_vec())]);
    assert!(message(tables.path()).contains("name the file itself"));
    let one = folder(&[("a.png", png(1))]);
    let said = load(&index(one.path()), &spec(8, Channels::Rgb)).unwrap_err().to_string();
    assert!(said.contains("needs at least 2 pictures, found 1"), "{said}");
    assert!(message(&one.path().join("a.png")).contains("one picture"));
    let other = folder(&[("t.parquet", b"PAR1....PAR1".to_vec()), ("e.csv", Vec::new())]);
    assert!(message(&other.path().join("t.parquet")).contains("Parquet"));
    assert!(message(&other.path().join("e.csv")).contains("empty"));
    let nothing = message(&empty.path().join("avatar"));
    assert!(nothing.contains("no such file or folder"), "{nothing}");
}

#[test]
fn mixed_sizes_have_a_typical_one() {
    let dir = folder(&[
        ("1.png", encoded(&picture(10, 20, 1), ImageFormat::Png)),
        ("2.png", encoded(&picture(30, 20, 1), ImageFormat::Png)),
        ("3.png", encoded(&picture(50, 70, 1), ImageFormat::Png)),
    ]);
    let index = index(dir.path());
    assert_eq!((index.typical_size(), index.uniform_size()), ((30, 20), None));
    let set = load(&index, &ImageSpec { width: 12, height: 9, channels: Channels::Grey, fit: Fit::Pad }).unwrap();
    assert_eq!((set.len(), all(&set).len()), (3, 3 * 12 * 9));
    let lines = Source::Images(index).describe();
    let sizes = &lines.iter().find(|(heading, _)| heading == "sizes").unwrap().1;
    assert!(sizes.starts_with("width 10 to 50 (median 30), height 20 to 70 (median 20)"), "{sizes}");
}

#[test]
fn channels_are_the_fewest_that_lose_nothing() {
    let grey = DynamicImage::ImageLuma8(GrayImage::from_fn(8, 8, |x, _| Luma([x as u8])));
    let opaque: DynamicImage = RgbaImage::from_pixel(8, 8, Rgba([1, 2, 3, 255])).into();
    let clear: DynamicImage = RgbaImage::from_pixel(8, 8, Rgba([1, 2, 3, 9])).into();
    let found = |pictures: &[&DynamicImage]| {
        let files: Vec<(String, Vec<u8>)> =
            pictures.iter().enumerate().map(|(i, p)| (format!("{i}.png"), encoded(p, ImageFormat::Png))).collect();
        let borrowed: Vec<(&str, Vec<u8>)> = files.iter().map(|(n, b)| (n.as_str(), b.clone())).collect();
        index(folder(&borrowed).path()).channels()
    };
    assert_eq!(found(&[&grey, &grey]), Channels::Grey);
    assert_eq!(found(&[&DynamicImage::ImageRgba8(grey.to_rgba8())]), Channels::Grey);
    assert_eq!(found(&[&grey, &opaque]), Channels::Rgb);
    assert_eq!(found(&[&grey, &opaque, &clear]), Channels::Rgba);
}

#[test]
fn sixteen_bit_and_grey_with_opacity_become_eight_bit() {
    let deep = DynamicImage::ImageLuma16(image::ImageBuffer::from_fn(4, 4, |x, _| Luma([x as u16 * 0x5555])));
    let veiled = DynamicImage::ImageLumaA8(image::ImageBuffer::from_pixel(4, 4, image::LumaA([0, 0])));
    let dir = folder(&[("1.png", encoded(&deep, ImageFormat::Png)), ("2.png", encoded(&veiled, ImageFormat::Png))]);
    let set = load(&index(dir.path()), &spec(4, Channels::Grey)).unwrap();
    assert_eq!(set.picture(0)[..4], [0, 0x55, 0xaa, 0xff]);
    assert_eq!(set.picture(1)[0], 255, "nothing over white is white");
}

#[test]
fn animations_give_their_first_frame_and_a_note() {
    let mut bytes = Vec::new();
    let mut gif = image::codecs::gif::GifEncoder::new(&mut bytes);
    let frames = [Rgba([255, 0, 0, 255]), Rgba([0, 0, 255, 255])].map(|c| image::Frame::new(RgbaImage::from_pixel(8, 8, c)));
    gif.encode_frames(frames).unwrap();
    drop(gif);
    let dir = folder(&[("1.gif", bytes), ("2.png", png(2))]);
    let index = index(dir.path());
    assert!(index.notes.iter().any(|n| n.contains("1 animated")), "{:?}", index.notes);
    let set = load(&index, &spec(8, Channels::Rgb)).unwrap();
    assert_eq!(set.picture(0)[..3], [255, 0, 0]);
}

#[test]
fn a_sideways_photograph_is_turned() {
    let jpeg = encoded(&picture(40, 24, 9), ImageFormat::Jpeg);
    // EXIF with one entry: orientation 6, turn right.
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
    let length = (exif.len() as u16 + 2).to_be_bytes();
    let mut turned = vec![0xff, 0xd8, 0xff, 0xe1, length[0], length[1]];
    turned.append(&mut exif);
    turned.extend_from_slice(&jpeg[2..]);
    let dir = folder(&[("1.jpg", turned.clone()), ("2.jpg", turned)]);
    let index = index(dir.path());
    assert_eq!(index.uniform_size(), Some((24, 40)));
    let set = load(&index, &ImageSpec { width: 24, height: 40, channels: Channels::Rgb, fit: Fit::Crop }).unwrap();
    let upright = decode::decode(&jpeg).unwrap().rotate90().into_rgb8();
    assert_eq!(set.picture(0), upright.as_raw().as_slice());
}

#[test]
fn idx_pairs_are_read_plain_and_gzipped() {
    let pixels: Vec<u8> = (0..3 * 2 * 4).collect();
    let (images, labels) = (idx(&[3, 2, 4], &pixels), idx(&[3], &[9, 2, 9]));
    let plain = folder(&[
        ("train-images-idx3-ubyte", images.clone()),
        ("train-labels-idx1-ubyte", labels.clone()),
        ("t10k-images-idx3-ubyte", images[..16].to_vec()),
    ]);
    let packed = folder(&[("a-images.idx3-ubyte.gz", gzipped(&images)), ("a-labels.idx1-ubyte", labels)]);
    for path in [
        plain.path().to_path_buf(),
        plain.path().join("train-images-idx3-ubyte"),
        packed.path().to_path_buf(),
        packed.path().join("a-images.idx3-ubyte.gz"),
    ] {
        let index = index(&path);
        assert_eq!((index.uniform_size(), index.channels()), (Some((4, 2)), Channels::Grey));
        assert_eq!(index.classes, ["2", "9"]);
        let set = load(&index, &ImageSpec { width: 4, height: 2, channels: Channels::Grey, fit: Fit::Crop }).unwrap();
        assert_eq!((all(&set), set.labels), (pixels.clone(), vec![1, 0, 1]));
    }
}

#[test]
fn idx_files_that_lie_are_refused() {
    let said = |images: Vec<u8>, labels: Option<Vec<u8>>| {
        let mut files = vec![("x-images-idx3-ubyte", images)];
        files.extend(labels.map(|l| ("x-labels-idx1-ubyte", l)));
        message(folder(&files).path())
    };
    let pixels = [7; 24];
    assert!(said(idx(&[4, 2, 4], &pixels), None).contains("says 4 pictures of 4 x 2, it holds 3"));
    assert!(said(idx(&[2, 2, 4], &pixels), None).contains("holds more than 2"));
    assert!(said(idx(&[u32::MAX, u32::MAX, u32::MAX], &pixels), None).contains("damaged or cut off"));
    assert!(said(gzipped(&idx(&[u32::MAX, 4000, 4000], &pixels)), None).contains("more than the file can hold"));
    assert!(said(idx(&[3, 2, 4], &pixels), Some(idx(&[2], &[1, 2]))).contains("3 pictures, but its header says 2 labels"));
    assert!(said(idx(&[0, 2, 4], &[]), None).contains("0 pictures"));
}

#[test]
fn a_set_that_fits_nowhere_is_refused_with_a_size_that_does() {
    let Source::Images(index) = Source::open("stacked-digits").unwrap() else { panic!("not pictures") };
    let said = load(&index, &spec(4096, Channels::Rgb)).unwrap_err().to_string();
    assert!(said.contains("--set data.height=1232 --set data.width=1232 fits"), "{said}");
    assert_eq!(index.bytes_in_a_file(&spec(64, Channels::Rgb)), None);
    assert_eq!(index.bytes_in_a_file(&spec(128, Channels::Rgb)), Some(60_000 * 128 * 128 * 3));
    assert!(matches!(load(&index, &spec(0, Channels::Rgb)), Err(Error::Config { .. })));
    assert!(matches!(load(&index, &spec(5000, Channels::Rgb)), Err(Error::Config { .. })));
}

#[test]
fn progress_reaches_the_end_and_loading_is_repeatable() {
    let Source::Images(index) = Source::open("avatars").unwrap() else { panic!("not pictures") };
    let mut calls = Vec::new();
    let set = index.load(&spec(16, Channels::Rgb), &mut |done, of| calls.push((done, of))).unwrap();
    assert_eq!((calls.first(), calls.last()), (Some(&(0, 6000)), Some(&(6000, 6000))));
    assert!(calls.is_sorted());
    let again = load(&index, &spec(16, Channels::Rgb)).unwrap();
    assert_eq!((again.fingerprint, again.labels, again.skipped), (set.fingerprint.clone(), set.labels.clone(), set.skipped.clone()));
    // So it does where there is no memory for them.
    let folder = tempfile::tempdir().unwrap();
    let filed = index.load_within(&spec(16, Channels::Rgb), (100, folder.path()), &mut |_, _| {}).unwrap();
    assert!(!filed.pixels.is_in_memory());
    assert_eq!((all(&filed), &filed.fingerprint), (all(&set), &set.fingerprint));
    assert_ne!(load(&index, &spec(8, Channels::Rgb)).unwrap().fingerprint, set.fingerprint);
}

#[test]
fn numbers_are_written_with_commas() {
    assert_eq!([0, 999, 1000, 1234567].map(with_commas), ["0", "999", "1,000", "1,234,567"]);
}

fn test_file(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/data/test_files").join(name)).unwrap()
}

#[test]
fn files_that_this_program_cannot_write_are_read() {
    let names = ["animated.png", "animated.webp", "cmyk.jpg", "grey.jpg", "palette.png", "palette_clear.png", "progressive.jpg"];
    let files: Vec<(&str, Vec<u8>)> = names.iter().map(|name| (*name, test_file(name))).collect();
    let dir = folder(&files);
    let index = index(dir.path());
    assert_eq!((index.entries.len(), index.channels()), (7, Channels::Rgba));
    assert!(index.notes.iter().any(|n| n.contains("2 animated")), "{:?}", index.notes);
    let set = load(&index, &spec(4, Channels::Rgba)).unwrap();
    assert_eq!(set.skipped, []);
    let pixel = |picture: usize, at: usize| set.picture(picture)[4 * at..4 * at + 4].to_vec();
    let close = |a: Vec<u8>, b: [u8; 4]| assert!(a.iter().zip(b).all(|(a, b)| a.abs_diff(b) < 6), "{a:?} is not {b:?}");
    close(pixel(0, 0), [255, 0, 0, 255]);
    close(pixel(1, 0), [255, 0, 0, 255]);
    close(pixel(2, 5), [255, 0, 0, 255]);
    assert_eq!((pixel(4, 0), pixel(4, 1), pixel(4, 3)), (vec![255, 0, 0, 255], vec![0, 255, 0, 255], vec![0, 0, 0, 255]));
    assert_eq!((pixel(5, 0), pixel(5, 3)[3]), (vec![255, 0, 0, 255], 0));
    let grey = set.picture(3);
    assert!(grey.chunks(4).all(|p| p[0] == p[1] && p[1] == p[2] && p[3] == 255) && grey[0] + 100 < grey[4 * 15]);
}
