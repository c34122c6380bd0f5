// The service that the tests' framework peers speak.
namespace rs echo

// What `Fail` declares: a business error, no fault of the server's.
exception Refused {
    1: required i32 code,
    2: required string reason,
}

service EchoService {
    string Echo(1: string message),
    // No answer is expected.
    oneway void Notify(1: string message),
    void Ping(),
    string Fail(1: string message) throws (1: Refused refused),
    // Answers after `delay_ms` milliseconds.
    string Slow(1: string message, 2: i32 delay_ms),
}
