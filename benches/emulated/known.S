# A hundred million instructions, then what the scheduler says of this process; init runs it to see that the machine's clock counts them.
        .globl _start
_start: mov     $50000000, %ecx
1:      dec     %ecx
        jnz     1b
        mov     $59, %eax               # execve
        lea     program(%rip), %rdi
        lea     words(%rip), %rsi
        xor     %edx, %edx
        syscall
        ud2
        .data
program: .asciz "/bin/cat"
file:   .asciz  "/proc/self/schedstat"
words:  .quad   program, file, 0
