// The GIL, taken and let go of so that a process can end at any time.
//
// Whoever asks a finalising interpreter for the GIL, as a daemon thread in a long call may, is
// ended by Python on the spot: pthread_exit, which unwinds C++ frames. A destructor in its way
// aborts the process, and so does a `catch (...)` that swallows it. So the thread is stopped where
// it stands until the process ends, which is what Python 3.14 does itself. A thread may ask later
// still, when nothing is left of the interpreter: PyEval_RestoreThread is made for that and ends
// the thread, PyGILState_Ensure reads a null pointer.
#pragma once

#include <Python.h>

#include <chrono>
#include <thread>

/// Never to go on: this thread stays as it is until the process ends.
[[noreturn]] inline void stand_still() {
  while (true) std::this_thread::sleep_for(std::chrono::hours(1));
}

/// f(), which may ask for the GIL or run Python code, and throws nothing of its own.
template <class F>
auto unless_finalizing(F f) {
  try {
    return f();
  } catch (...) {  // not to be left: the unwinding would go on, or be swallowed
    stand_still();
  }
}

class WithoutGil {
 public:
  WithoutGil() : thread_(PyEval_SaveThread()) {}
  ~WithoutGil() { take(); }
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

  /// f() with the GIL, on the thread that let go of it.
  template <class F>
  void with_gil(F f) const {
    struct LetGo {
      ~LetGo() { PyEval_SaveThread(); }
    };
    take();
    const LetGo again;
    f();
  }

 private:
  void take() const {
    unless_finalizing([this] { PyEval_RestoreThread(thread_); });
  }

  PyThreadState* thread_;
};

/// On any thread, whether it holds the GIL or not.
class WithGil {
 public:
  WithGil() : state_(unless_finalizing(ensure)) {}
  ~WithGil() { PyGILState_Release(state_); }
  WithGil(const WithGil&) = delete;
  WithGil& operator=(const WithGil&) = delete;

 private:
  static PyGILState_STATE ensure() {
    // The thread that ends the interpreter has a state until there is nothing to let go of. No
    // other can get one by now. (What is left: an interpreter that goes between these lines.)
    if (Py_IsInitialized() == 0 && PyGILState_GetThisThreadState() == nullptr) stand_still();
    return PyGILState_Ensure();
  }

  PyGILState_STATE state_;
};
