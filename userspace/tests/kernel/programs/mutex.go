// A mutex that is found taken once at each of a hundred depths of a new goroutine's stack: at some of them the slow
// path does not fit, and begins anew on a larger stack. The holder waits until the other one does.
package main

import (
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// The state is the first word; from its fourth bit on it counts the waiters.
func waited(lock *sync.Mutex) bool {
	return atomic.LoadInt32((*int32)(unsafe.Pointer(lock)))>>3 > 0
}

//go:noinline
func at(depth int, lock *sync.Mutex) int {
	if depth == 0 {
		lock.Lock()
		lock.Unlock()
		return 0
	}
	return at(depth-1, lock) + 1
}

func main() {
	var lock sync.Mutex
	byte := make([]byte, 1)
	if read, _ := os.Stdin.Read(byte); read != 1 {
		os.Exit(1)
	}
	done := make(chan int)
	for depth := 0; depth < 100; depth++ {
		lock.Lock()
		go func(depth int) { done <- at(depth, &lock) }(depth)
		for !waited(&lock) {
			time.Sleep(time.Millisecond)
		}
		lock.Unlock()
		<-done
	}
}
