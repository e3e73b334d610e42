# SPDX-License-Identifier: Apache-2.0
# Go: goroutines over several threads, timers, os/signal, a fault made a panic, children.
# abi-needs: go
# abi-env: HOME=/tmp
# abi-timeout: 120
cat > main.go <<'END'
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func workers() {
	var sum int64
	var wg sync.WaitGroup
	ch := make(chan int, 16)
	for i := 0; i < 50; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for v := range ch {
				atomic.AddInt64(&sum, int64(v))
				runtime.Gosched()
			}
		}()
	}
	for i := 1; i <= 2000; i++ {
		ch <- i
	}
	close(ch)
	wg.Wait()
	fmt.Println("sum", sum)
}

func timers() {
	start := time.Now()
	t := time.NewTicker(5 * time.Millisecond)
	n := 0
	for range t.C {
		n++
		if n == 10 {
			break
		}
	}
	t.Stop()
	d := time.Since(start)
	fmt.Println("ticker", n, d >= 45*time.Millisecond, d < 2*time.Second)
	select {
	case <-time.After(10 * time.Millisecond):
		fmt.Println("after")
	}
	x := make(chan string, 4)
	for i := 3; i > 0; i-- {
		i := i
		time.AfterFunc(time.Duration(i*20)*time.Millisecond, func() { x <- fmt.Sprint("func ", i) })
	}
	for i := 0; i < 3; i++ {
		fmt.Println(<-x)
	}
}

func signals() {
	c := make(chan os.Signal, 8)
	signal.Notify(c, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGCHLD, syscall.SIGWINCH)
	for _, s := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH} {
		syscall.Kill(os.Getpid(), s)
		fmt.Println("got", <-c)
	}
	signal.Ignore(syscall.SIGUSR1)
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	signal.Reset()
}

func segv() {
	defer func() {
		r := recover()
		fmt.Println("recovered", r)
		var e runtime.Error
		if err, ok := r.(error); ok {
			fmt.Println(errors.As(err, &e))
		}
	}()
	var p *int
	*p = 1
}

func execs() {
	out, err := exec.Command("sh", "-c", "echo out; echo err >&2; exit 3").Output()
	fmt.Printf("%q %v\n", out, err)
	var ee *exec.ExitError
	if errors.As(err, &ee) {
		fmt.Printf("%q %d\n", ee.Stderr, ee.ExitCode())
	}
	cmd := exec.Command("cat")
	in, _ := cmd.StdinPipe()
	o, _ := cmd.StdoutPipe()
	cmd.Start()
	go func() { io.WriteString(in, "one\ntwo\n"); in.Close() }()
	s := bufio.NewScanner(o)
	for s.Scan() {
		fmt.Println("cat:", s.Text())
	}
	fmt.Println(cmd.Wait())
	k := exec.Command("sleep", "100")
	k.Start()
	k.Process.Kill()
	fmt.Println(k.Wait())
	_, err = exec.LookPath("no-such-program")
	fmt.Println(err)
	var wg sync.WaitGroup
	var okc int32
	for i := 0; i < 8; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if exec.Command("true").Run() == nil {
				atomic.AddInt32(&okc, 1)
			}
		}()
	}
	wg.Wait()
	fmt.Println("true", okc)
}

func files() {
	d, _ := os.MkdirTemp("", "go")
	defer os.RemoveAll(d)
	p := filepath.Join(d, "a", "b")
	fmt.Println(os.MkdirAll(p, 0755), os.WriteFile(filepath.Join(p, "f"), []byte("hello"), 0640))
	os.Symlink("f", filepath.Join(p, "l"))
	filepath.Walk(d, func(path string, i os.FileInfo, err error) error {
		r, _ := filepath.Rel(d, path)
		fmt.Println(r, i.Mode(), err)
		return nil
	})
	_, err := os.Open(filepath.Join(d, "none"))
	fmt.Println(errors.Is(err, os.ErrNotExist))
	r, w, _ := os.Pipe()
	r.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	_, err = r.Read(make([]byte, 1))
	fmt.Println("deadline", errors.Is(err, os.ErrDeadlineExceeded))
	w.Close()
}

func main() {
	workers()
	timers()
	signals()
	segv()
	execs()
	files()
	runtime.GC()
	fmt.Println("cpus", runtime.NumCPU())
}
END
# The Go tools, with as many processes and threads as there are CPUs, run in both places too.
# One cache for all runs: the standard library is compiled once, on the host.
export GOCACHE=/tmp/pygos-go-cache GOFLAGS=-trimpath
go vet main.go && go build -o prog main.go && ./prog
rm -f prog
