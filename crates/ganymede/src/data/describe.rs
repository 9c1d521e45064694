//! An index of pictures in words, for `ganymede inspect`.

use super::image_index::{ImageIndex, median};
use super::points::first_names;
use super::with_commas;

impl ImageIndex {
    /// (heading, text) lines.
    pub(super) fn describe(&self) -> Vec<(String, String)> {
        let mut lines = vec![
            ("kind".to_string(), "pictures".to_string()),
            ("pictures".into(), with_commas(self.entries.len())),
            ("sizes".into(), self.sizes()),
            ("channels".into(), self.channels().to_string()),
            ("classes".into(), self.class_line()),
        ];
        if let Some(table) = &self.attributes {
            let asked = if table.on_request { " (learned with --set condition=attributes)" } else { "" };
            lines.push(("attributes".into(), format!("{}{asked}", table.names.join(", "))));
        }
        if !self.skipped.is_empty() {
            let named = self.skipped.iter().take(5).map(|s| format!("{} ({})", s.path.display(), s.reason)).collect::<Vec<_>>().join("; ");
            let more = if self.skipped.len() > 5 { "; ..." } else { "" };
            lines.push(("left out".into(), format!("{}: {named}{more}", with_commas(self.skipped.len()))));
        }
        lines.extend(self.notes.iter().map(|note| ("note".to_string(), note.clone())));
        lines.push(("license".into(), self.license.clone()));
        lines
    }

    fn sizes(&self) -> String {
        if let Some((width, height)) = self.uniform_size() {
            return format!("all {width} x {height}");
        }
        let counts = self.size_counts();
        let Some(&((common_w, common_h), n)) = counts.first() else { return "none".into() };
        let (widths, heights) = (|| self.entries.iter().map(|e| e.width), || self.entries.iter().map(|e| e.height));
        format!(
            "width {} to {} (median {}), height {} to {} (median {}); {} different, most common {common_w} x {common_h} ({})",
            widths().min().unwrap_or(0),
            widths().max().unwrap_or(0),
            median(widths()),
            heights().min().unwrap_or(0),
            heights().max().unwrap_or(0),
            median(heights()),
            with_commas(counts.len()),
            with_commas(n)
        )
    }

    fn class_line(&self) -> String {
        if self.classes.is_empty() {
            return "none".into();
        }
        let named: Vec<String> = self.classes.iter().zip(self.class_counts()).map(|(c, n)| format!("{c} ({})", with_commas(n))).collect();
        format!("{}: {}", with_commas(self.classes.len()), first_names(&named, 20))
    }
}
