/* What the library is replaced with: the same place has another name. */
int padding(int x) { return x; }
int wrong(int x) { return padding(x) * 3; }
int c(int x) { return wrong(x) * 5; }
