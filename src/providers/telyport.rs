pub struct Telyport;
pub static TELYPORT: Telyport = Telyport;
