//! Plots, as SVG text: the same figures give the same bytes.

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

const SIZE: (u32, u32) = (860, 420);
const FONT: (&str, u32) = ("sans-serif", 14);
const TITLE_FONT: (&str, u32) = ("sans-serif", 18);
/// What is left free above the highest value.
const HEADROOM: f64 = 1.12;
/// The share of a group's width that its bars have.
const BARS_WIDTH: f64 = 0.8;
/// Dark enough to be told apart in print as well.
const COLORS: [RGBColor; 4] =
    [RGBColor(31, 99, 156), RGBColor(217, 95, 2), RGBColor(90, 90, 90), RGBColor(27, 140, 88)];

/// Groups of bars, one for each series.
pub struct Bars<'a> {
    /// The title.
    pub title: &'a str,
    /// What the values are.
    pub unit: &'a str,
    /// The names of the groups.
    pub groups: &'a [&'a str],
    /// The series: a name, and a value for each group.
    pub series: &'a [(&'a str, Vec<f64>)],
}

/// Steps over time.
pub struct Steps<'a> {
    /// The title.
    pub title: &'a str,
    /// What the values are.
    pub unit: &'a str,
    /// The series: a name, and the moments in seconds from which each value holds.
    pub series: &'a [(&'a str, Vec<(f64, f64)>)],
    /// Moments that are marked, with a word.
    pub marks: &'a [(f64, &'a str)],
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// # Panics
/// If it cannot be drawn: text has no limits.
fn draw(with: impl Fn(&Area) -> Drawn) -> String {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
    area.fill(&WHITE)
        .and_then(|()| with(&area).map_err(|problem| panic!("a plot: {problem}")))
        .expect("text is drawn on");
    area.present().expect("text is written to");
    drop(area);
    svg
}

fn highest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(1.0, f64::max) * HEADROOM
}

fn color(at: usize) -> RGBColor {
    COLORS[at % COLORS.len()]
}

/// A label that is no longer than its value deserves.
fn label(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

/// The names of the series, in a box.
fn legend<'b: 'a, 'a>(chart: &mut Chart<'a, 'b>, position: SeriesLabelPosition) -> Drawn {
    let mut labels = chart.configure_series_labels();
    labels.position(position).border_style(BLACK.mix(0.3)).background_style(WHITE).label_font(FONT);
    Ok(labels.draw()?)
}

/// Draws bars.
pub fn bars(plot: &Bars) -> String {
    draw(|area| {
        let most = highest(plot.series.iter().flat_map(|(_, values)| values.iter().copied()));
        let groups = plot.groups.len() as f64;
        let mut chart = ChartBuilder::on(area)
            .caption(plot.title, TITLE_FONT)
            .margin(12)
            .x_label_area_size(32)
            .y_label_area_size(64)
            .build_cartesian_2d(0.0..groups, 0.0..most)?;
        let name = |at: &f64| {
            let group = plot.groups.get(*at as usize).filter(|_| (at.fract() - 0.5).abs() < 0.01);
            group.map_or(String::new(), |name| (*name).to_owned())
        };
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(2 * plot.groups.len() + 1)
            .x_label_formatter(&name)
            .y_desc(plot.unit)
            .y_label_formatter(&|value| format!("{value:.0}"))
            .max_light_lines(0)
            .label_style(FONT)
            .axis_desc_style(FONT)
            .draw()?;
        let width = BARS_WIDTH / plot.series.len() as f64;
        for (at, (name, values)) in plot.series.iter().enumerate() {
            let left = |group: usize| group as f64 + (1.0 - BARS_WIDTH) / 2.0 + width * at as f64;
            let bar = |(group, value): (usize, &f64)| {
                Rectangle::new([(left(group), 0.0), (left(group) + width * 0.92, *value)], color(at).filled())
            };
            let text = |(group, value): (usize, &f64)| {
                let place = (left(group) + width * 0.1, *value + most * 0.045);
                Text::new(label(*value), place, FONT)
            };
            let drawn = chart.draw_series(values.iter().enumerate().map(bar))?;
            if plot.series.len() > 1 {
                let own = color(at);
                drawn.label(*name).legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], own.filled()));
            }
            chart.draw_series(values.iter().enumerate().map(text))?;
        }
        if plot.series.len() > 1 {
            legend(&mut chart, SeriesLabelPosition::UpperRight)?;
        }
        Ok(())
    })
}

/// Draws steps.
pub fn steps(plot: &Steps) -> String {
    draw(|area| {
        let points = || plot.series.iter().flat_map(|(_, points)| points.iter().copied());
        let most = highest(points().map(|(_, value)| value));
        let end = points().map(|(at, _)| at).fold(0.0, f64::max);
        let mut chart = ChartBuilder::on(area)
            .caption(plot.title, TITLE_FONT)
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(0.0..end, 0.0..most)?;
        chart
            .configure_mesh()
            .x_desc("seconds")
            .y_desc(plot.unit)
            .y_label_formatter(&|value| format!("{value:.0}"))
            .max_light_lines(0)
            .label_style(FONT)
            .axis_desc_style(FONT)
            .draw()?;
        for (at, word) in plot.marks {
            let line = [(*at, 0.0), (*at, most)];
            chart.draw_series([PathElement::new(line, BLACK.mix(0.5))])?;
            chart.draw_series([Text::new((*word).to_owned(), (*at + end * 0.005, most * 0.985), FONT)])?;
        }
        for (at, (name, points)) in plot.series.iter().enumerate() {
            let own = color(at);
            let line = LineSeries::new(stairs(points, end), own.stroke_width(2));
            chart.draw_series(line)?.label(*name).legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], own));
        }
        legend(&mut chart, SeriesLabelPosition::LowerLeft)?;
        Ok(())
    })
}

/// The corners of steps.
fn stairs(points: &[(f64, f64)], end: f64) -> Vec<(f64, f64)> {
    let mut corners = Vec::new();
    for (number, (at, value)) in points.iter().enumerate() {
        corners.push((*at, *value));
        corners.push((points.get(number + 1).map_or(end, |next| next.0), *value));
    }
    corners
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plots_are_the_same_bytes_each_time() {
        let series = [("one", vec![1.0, 250.7]), ("two", vec![2.0, 4.0])];
        let draw = || bars(&Bars { title: "a title", unit: "things", groups: &["a", "b"], series: &series });
        assert_eq!(draw(), draw());
        assert!(draw().contains("a title") && draw().contains("251") && draw().contains("two"));
        let series = [("stock", vec![(0.0, 5.0), (1.0, 3.0)])];
        let draw = || steps(&Steps { title: "steps", unit: "pieces", series: &series, marks: &[(0.5, "crash")] });
        assert_eq!(draw(), draw());
        assert!(draw().contains("crash") && draw().contains("stock"));
    }

    #[test]
    fn steps_have_corners() {
        assert_eq!(stairs(&[(0.0, 5.0), (1.0, 3.0)], 2.0), [(0.0, 5.0), (1.0, 5.0), (1.0, 3.0), (2.0, 3.0)]);
    }
}
