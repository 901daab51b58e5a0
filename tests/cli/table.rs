//! Tables.

use milepost::cli::table::{Align, Table};

fn plain(table: &Table) -> String {
    anstream::adapter::strip_str(&table.to_string()).to_string()
}

#[test]
fn columns_line_up() {
    let mut table = Table::new(&[("NAME", Align::Left), ("COUNT", Align::Right), ("", Align::Left)]);
    assert!(table.is_empty());
    table.row(&["a".to_owned(), "1".to_owned(), String::new()]);
    table.row(&["grüße".to_owned(), "1234567".to_owned(), "x".to_owned()]);
    assert_eq!(plain(&table), "NAME     COUNT\na            1\ngrüße  1234567  x\n");
}

#[test]
fn a_cell_cannot_steer_a_terminal() {
    let mut table = Table::new(&[("NAME", Align::Left)]);
    table.row(&["\x1b[2Jgone\n".to_owned()]);
    assert_eq!(table.to_string().lines().last(), Some("·[2Jgone·"));
}
