/* With -DBARE a program brings its own start, so that it can be linked with the library of any release: the start files of
 * this machine ask for symbols that older ones do not have. */
#ifdef BARE
int __libc_start_main(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void), void (*)(void),
                      void *);
int main(int, char **);
__attribute__((used)) static void begin(long *stack)
{
    __libc_start_main((int (*)(int, char **, char **))main, (int)stack[0], (char **)(stack + 1), 0, 0, 0, stack);
}
__asm__(".globl _start\n_start: xor %ebp,%ebp\n mov %rsp,%rdi\n and $-16,%rsp\n call begin\n hlt\n");
#endif
