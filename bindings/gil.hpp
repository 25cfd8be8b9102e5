// The GIL, taken and let go of so that a process can end at any time.
//
// Whoever asks a finalising interpreter for the GIL, as a daemon thread in a long call may, is
// ended by Python on the spot: pthread_exit, which unwinds C++ frames. A destructor in its way
// aborts the process, and so does a `catch (...)` that swallows it. So the thread is stopped where
// it stands until the process ends, which is what Python 3.14 does itself.
#pragma once

#include <Python.h>

#include <chrono>
#include <thread>

/// f(), which may ask for the GIL or run Python code, and throws nothing of its own.
template <class F>
auto unless_finalizing(F f) {
  try {
    return f();
  } catch (...) {  // not to be left: the unwinding would go on, or be swallowed
    while (true) std::this_thread::sleep_for(std::chrono::hours(1));
  }
}

class WithoutGil {
 public:
  WithoutGil() : thread_(PyEval_SaveThread()) {}
  ~WithoutGil() {
    unless_finalizing([this] { PyEval_RestoreThread(thread_); });
  }
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

 private:
  PyThreadState* thread_;
};

/// On any thread, whether it holds the GIL or not.
class WithGil {
 public:
  WithGil() : state_(unless_finalizing([] { return PyGILState_Ensure(); })) {}
  ~WithGil() { PyGILState_Release(state_); }
  WithGil(const WithGil&) = delete;
  WithGil& operator=(const WithGil&) = delete;

 private:
  PyGILState_STATE state_;
};
